// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").ViewerQuery, import("../types.js").ViewerQueryVariables>} */
export const VIEWER = {
  id: "eceb69f5446c15e32674b734761f4ba54fadcc70db61c1aaf380c6c80b481914",
  text: "query Viewer($locale:String!$meter:String!$isMetered:Boolean!){viewer{email subscription{...Standing}subscriptions{...Standing items{plan{features{key name(locale:$locale)}}}}usage(eventName:$meter)@include(if:$isMetered){value periodStart periodEnd}paymentMethod{type brand last4 expMonth expYear}entitlements{feature limit count{used resetsAt}}creditKinds{kind balance}credits{balance entries(first:5){nodes{id kind amount reason createdAt}}}invoices(first:12){nodes{id number status createdAt hostedInvoiceUrl invoicePdf subscriptionId amountRemaining{formatted(locale:$locale)}refunded{amount formatted(locale:$locale)}tax{amount formatted(locale:$locale)}total{formatted(locale:$locale)}}}}}fragment Standing on BillingSubscription{id status quantity trialEnd cancelAt willCancel paused pausedUntil currentPeriodStart currentPeriodEnd endedAt access{allowed reason until}discounts{...Reduction}retentionOffer{expiresAt discount{...Reduction}}plannedBySeller pendingChange{at items{quantity plan{...Named}}}confirmation{url expiresAt amount{formatted(locale:$locale)}items{quantity plan{...Named}}}items{id quantity plan{...Named}}}fragment Named on Plan{id interval intervalCount usageType product{name(locale:$locale)unitLabel(locale:$locale)addon}amountFor(quantity:1){currency formatted(locale:$locale)}}fragment Reduction on Discount{name percentOff amountOff{formatted(locale:$locale)}once endsAt}",
};

/** @type {import("../client/client.js").Document<import("../types.js").CostQuery, import("../types.js").CostQueryVariables>} */
export const COST = {
  id: "a5126726730b0bce310239987ccbe31ff714c1b31065a3cd9ccb2379c06bbe82",
  text: "query Cost($quantity:Int!$locale:String!){viewer{subscriptions{id plan{amountFor(quantity:$quantity){formatted(locale:$locale)}}}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").RenewalsQuery, import("../types.js").RenewalsQueryVariables>} */
export const RENEWALS = {
  id: "7cf765fa67eab2456a7ad612feac2762831da36e8a946a93aacdb5046248faf4",
  text: "query Renewals($locale:String!){viewer{subscriptions{id dueAtRenewal{formatted(locale:$locale)}pendingChange{dueAtRenewal{formatted(locale:$locale)}}}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").PlansQuery, import("../types.js").PlansQueryVariables>} */
export const PLANS = {
  id: "e98ea52dd1318cd515e4efb201297148f77bc26a91d9928b170ac610af80ec88",
  text: "query Plans($locale:String!$currency:Currency){pricing(currency:$currency){currency products{product{id name(locale:$locale)unitLabel(locale:$locale)addon}plans{id interval intervalCount usageType minQuantity maxQuantity viewer{action subscriptionId}amountFor(quantity:1){formatted(locale:$locale)}price{tiers{upTo}transformQuantity{divideBy}}}}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").QuoteChangeQuery, import("../types.js").QuoteChangeQueryVariables>} */
export const QUOTE_CHANGE = {
  id: "ed08c560ddb766c82e9be4d317284c0201d7738949a5d135fd16011fc86a2f7e",
  text: "query QuoteChange($subscriptionId:ID!$to:SubscriptionChangeInput!$when:ChangeTime$locale:String!){viewer{quoteChange(subscriptionId:$subscriptionId to:$to when:$when){preview{when at dueNow{formatted(locale:$locale)}credit{amount formatted(locale:$locale)}dueAtRenewal{formatted(locale:$locale)}renewsAt prorationDate lines{id description amount{formatted(locale:$locale)}}}userErrors{code text(locale:$locale)}}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").ChangeSubscriptionMutation, import("../types.js").ChangeSubscriptionMutationVariables>} */
export const CHANGE_SUBSCRIPTION = {
  id: "2f4e70588228a1fbe7b893ae3d0778efac8d7400cc2c9db67f1c717f21ae6e0a",
  text: "mutation ChangeSubscription($input:ChangeSubscriptionInput!$locale:String!){changeSubscription(input:$input){subscription{id plan{id}confirmation{expiresAt}}invoice{amountDue{amount formatted(locale:$locale)}}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").CancelPendingChangeMutation, import("../types.js").CancelPendingChangeMutationVariables>} */
export const CANCEL_PENDING_CHANGE = {
  id: "700a375d291a52e440a40142f6f1e069e97336533f9cd0c68779c80c4fe5d072",
  text: "mutation CancelPendingChange($input:CancelPendingChangeInput!$locale:String!){cancelPendingChange(input:$input){subscription{id pendingChange{at}}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").CancelSubscriptionMutation, import("../types.js").CancelSubscriptionMutationVariables>} */
export const CANCEL_SUBSCRIPTION = {
  id: "dd60297d2562cdc1f80aa812e75767fdabd0253c9963e78b6083d589d265b016",
  text: "mutation CancelSubscription($input:CancelSubscriptionInput!$locale:String!){cancelSubscription(input:$input){subscription{id status cancelAt}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").PauseSubscriptionMutation, import("../types.js").PauseSubscriptionMutationVariables>} */
export const PAUSE_SUBSCRIPTION = {
  id: "149126b19a8fa66aec8f113e3b5696249c8aea895a0a17f5195f14a870e78bf3",
  text: "mutation PauseSubscription($input:PauseSubscriptionInput!$locale:String!){pauseSubscription(input:$input){subscription{id paused pausedUntil}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").ResumeSubscriptionMutation, import("../types.js").ResumeSubscriptionMutationVariables>} */
export const RESUME_SUBSCRIPTION = {
  id: "3bce8029c4d3180adf7d8d848ed02904986c671a938afb4c7e618e37d1151e39",
  text: "mutation ResumeSubscription($input:ResumeSubscriptionInput!$locale:String!){resumeSubscription(input:$input){subscription{id status cancelAt}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").ApplyPromotionCodeMutation, import("../types.js").ApplyPromotionCodeMutationVariables>} */
export const APPLY_PROMOTION_CODE = {
  id: "5c05bb7567ccb55e65c14468ddce4f2d925de47a409ff6482e98a15621b0cd4c",
  text: "mutation ApplyPromotionCode($input:ApplyPromotionCodeInput!$locale:String!){applyPromotionCode(input:$input){subscription{id}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").AcceptRetentionOfferMutation, import("../types.js").AcceptRetentionOfferMutationVariables>} */
export const ACCEPT_RETENTION_OFFER = {
  id: "98efda0b7c565b526ad996e9c95027bd88eaa005b694fffa921786318172f55a",
  text: "mutation AcceptRetentionOffer($input:AcceptRetentionOfferInput!$locale:String!){acceptRetentionOffer(input:$input){subscription{id}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").ViewerUpdatedSubscription, import("../types.js").ViewerUpdatedSubscriptionVariables>} */
export const VIEWER_UPDATED = {
  id: "ec2be5c37647aae92f0cb25bab47c8504199fd686233989043c2752b9bea3849",
  text: "subscription ViewerUpdated{viewerUpdated{subscriptions{id status quantity willCancel paused currentPeriodEnd plan{id}}invoices(first:3){nodes{id status}}credits{balance}}}",
};
