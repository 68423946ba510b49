// Starts GraphiQL (4.1, global `GraphiQL`) on the API that serves this page.

const PRICING = `# Welcome to the billing gateway. Run this query with Ctrl-Enter (Cmd-Enter on a Mac).
#
# It is all that a pricing page needs: what is on sale, in display order, with amounts
# written as the reader's locale writes them. Change the variables below and run it again.
# To act as a signed-in customer, open "Headers" below: { "Authorization": "Bearer <token>" }

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

const CHECKOUT = `# Opens a checkout at Stripe. Put the id of a plan, or of a one-time price, into the
# variables below (the first tab lists them), run it, and open the session's url in a browser.

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
        lineItems: [{ priceId: "price_…", quantity: 1 }],
        successUrl: `${location.origin}/demo?session_id={CHECKOUT_SESSION_ID}`,
        cancelUrl: `${location.origin}/demo?canceled`,
      },
    }),
  },
];

// A link may bring its own query after the `#`, which browsers keep to themselves: /graphql#query=…&variables=…
const linked = new URLSearchParams(location.hash.slice(1));

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: location.pathname }),
    defaultTabs: TABS,
    query: linked.get("query") ?? undefined,
    variables: linked.get("variables") ?? undefined,
    defaultEditorToolsVisibility: "variables",
  }),
);
