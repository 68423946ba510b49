// Starts GraphiQL (4.1, global `GraphiQL`) on the API that serves this page.

const PRICING = `# Welcome! Run this query with Ctrl-Enter.
#
# It is all that a pricing page needs: what is
# on sale, in display order, the amounts as the
# reader's locale writes them. Change the
# variables below and run it again.
#
# To be a signed-in customer, choose one above
# (in development), or open "Headers":
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

/**
 * The operations of a document by their names, as far as a document can be read that is being written: what stands in
 * braces, strings and comments is left out.
 */
function operationNames(query) {
  const bare = query.replace(/"""[^]*?"""|"(?:[^"\\\n]|\\.)*"|#.*/g, " ");
  const names = [];
  let depth = 0;
  for (const [token, name] of bare.matchAll(/[{}]|\b(?:query|mutation|subscription)\s+([_A-Za-z]\w*)/g)) {
    if (token === "{") depth += 1;
    else if (token === "}") depth -= 1;
    else if (depth === 0) names.push(name);
  }
  return names;
}

/** A request that names an operation of its own document. GraphiQL sends the name of the text that was there before. */
function withPresentName({ operationName, ...request }) {
  const names = operationNames(request.query);
  if (names.includes(operationName)) return { ...request, operationName };
  return names.length === 1 ? { ...request, operationName: names[0] } : request;
}

// In development one signs in as a sample user. The token lives as long as the page; the choice as long as the tab.
const CHOICE = "graphiql.user";
let token = Promise.resolve(null);

/** The token of a sample user; null for nobody. */
async function tokenOf(email) {
  if (!email) return null;
  const response = await fetch(`${document.body.dataset.signIn}/sign-in`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email }),
  });
  return response.ok ? (await response.json()).token : null;
}

function choose(email) {
  sessionStorage.setItem(CHOICE, email);
  token = tokenOf(email);
}

async function offerSampleUsers() {
  const bar = document.getElementById("users");
  const select = bar.querySelector("select");
  const users = await (await fetch(`${document.body.dataset.signIn}/users`)).json();
  select.append(...users.map(({ name, email }) => new Option(name, email)));
  select.value = users.find(({ email }) => email === sessionStorage.getItem(CHOICE))?.email ?? "";
  select.addEventListener("change", () => choose(select.value));
  choose(select.value);
  bar.hidden = false;
}

const offered = document.body.dataset.signIn ? offerSampleUsers() : Promise.resolve();

// The headers become the WebSocket's connection parameters: the same sign-in for both. The Headers tab goes first.
const send = GraphiQL.createFetcher({
  url: location.pathname,
  subscriptionUrl: `${location.origin.replace(/^http/, "ws")}${location.pathname}`,
});

async function fetcher(request, options) {
  await offered;
  const known = await token;
  const headers = { ...(known && { Authorization: `Bearer ${known}` }), ...options?.headers };
  return send(withPresentName(request), { ...options, headers });
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: tabs,
    query: linked.query,
    variables: isFirstVisit ? tabs[0].variables : linked.variables,
    defaultEditorToolsVisibility: "variables",
  }),
);
