// A page that uses the generated types: `tsc --strict` reads it, nobody runs it.
import type { CheckoutMutation, CheckoutMutationVariables, PlansQuery } from "./gql/graphql.js";

export function label(data: PlansQuery): string[] {
  return data.plans.nodes.map((plan) => {
    const price = plan.amount === null ? "by use" : `${plan.amount.amount / 100} ${plan.amount.currency}`;
    return `${plan.product.name}: ${price} a ${plan.interval.toLowerCase()}`;
  });
}

export const purchase = (id: string): CheckoutMutationVariables => ({
  input: { lineItems: [{ price: { id }, quantity: 1 }], successUrl: "https://shop.example/paid" },
});

export function follow(data: CheckoutMutation): string {
  const { session, userErrors } = data.createCheckoutSession;
  if (session?.url) return session.url;
  throw new Error(userErrors.map((error) => `${error.code}: ${error.message}`).join("\n"));
}
