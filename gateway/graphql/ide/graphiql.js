// Starts GraphiQL (4.1, global `GraphiQL`) on the API that serves this page.

const PRICING = `# Welcome! Run this query with Ctrl-Enter.
#
# It is all that a pricing page needs: what is
# on sale, in display order, the amounts as the
# reader's locale writes them. Change the
# variables below and run it again.
#
# To be a signed-in customer, open "Headers":
# { "Authorization": "Bearer <token>" }

query Pricing($currency: Currency, $locale: String!) {
  pricing(currency: $currency) {
    currency
    currencies
    intervals
    products {
      product {
        name
        description
        features
      }
      plans {
        id
        interval
        trialPeriodDays
        amount {
          amount
          formatted(locale: $locale)
        }
      }
      oneTime {
        id
        unitAmount {
          formatted(locale: $locale)
        }
      }
    }
  }
}
`;

const CHECKOUT = `# Opens a checkout at Stripe. A price is named
# by its lookup key, or by the id that the first
# tab lists ("priceId"). Run it, and open the
# session's url in a browser.

mutation CreateCheckoutSession($input: CreateCheckoutSessionInput!) {
  createCheckoutSession(input: $input) {
    session {
      id
      status
      url
      amountTotal {
        formatted
      }
    }
    userErrors {
      code
      message
      field
    }
  }
}
`;

const json = (value) => JSON.stringify(value, null, 2);

const TABS = [
  { query: PRICING, variables: json({ currency: "USD", locale: navigator.language }) },
  {
    query: CHECKOUT,
    variables: json({
      input: {
        lineItems: [{ lookupKey: "pro_monthly", quantity: 1 }],
        successUrl: `${location.origin}/demo?session_id={CHECKOUT_SESSION_ID}`,
        cancelUrl: `${location.origin}/demo?canceled`,
      },
    }),
  },
];

// A link may bring its own query after the `#`, which browsers keep to themselves: /graphql#query=…&variables=…
const hash = new URLSearchParams(location.hash.slice(1));
const linked = hash.has("query") && { query: hash.get("query"), variables: hash.get("variables") ?? undefined };
const tabs = linked ? [linked, ...TABS] : TABS;

// GraphiQL shows the tabs of the last visit. On the first it does not put the first tab's variables into their editor.
const isFirstVisit = localStorage.getItem("graphiql:tabState") === null;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    // The Headers tab's content becomes the WebSocket's connection parameters: the same sign-in for both.
    fetcher: GraphiQL.createFetcher({
      url: location.pathname,
      subscriptionUrl: `${location.origin.replace(/^http/, "ws")}${location.pathname}`,
    }),
    defaultTabs: tabs,
    query: linked.query,
    variables: isFirstVisit ? tabs[0].variables : linked.variables,
    defaultEditorToolsVisibility: "variables",
  }),
);
