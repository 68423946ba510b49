// How the customer pays, in the words of who issued it.


/** Stripe's names of card brands, and how the brands write themselves. */
const BRANDS = {
  american_express: "American Express",
  amex: "American Express",
  cartes_bancaires: "Cartes Bancaires",
  diners: "Diners Club",
  diners_club: "Diners Club",
  discover: "Discover",
  eftpos_au: "eftpos Australia",
  eftpos_australia: "eftpos Australia",
  jcb: "JCB",
  link: "Link",
  mastercard: "Mastercard",
  union_pay: "UnionPay",
  unionpay: "UnionPay",
  visa: "Visa",
};

/** "Visa •••• 4242, expires 12/2034" */
export function writtenMethod(ui, { type, brand, last4, expMonth, expYear }) {
  const kind = ui.has(`method.${type}`) ? ui.text(`method.${type}`) : type.replaceAll("_", " ");
  const name = `${BRANDS[brand] ?? brand ?? kind}${last4 ? ` •••• ${last4}` : ""}`;
  const month = `${String(expMonth).padStart(2, "0")}/${expYear}`;
  return expYear ? ui.text("method.expires", { name, month }) : name;
}
