// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {Record<string, Record<string, string>>} */
export const FAILURES = {
  "de": {
    "NETWORK": "Der Shop erreicht seinen Server nicht. Bitte prüfen Sie die Verbindung und versuchen Sie es noch einmal.",
    "STRIPE_UNAVAILABLE": "Unser Zahlungspartner ist gerade nicht erreichbar. Bitte versuchen Sie es gleich noch einmal.",
    "RATE_LIMITED": "Das waren viele Anfragen auf einmal. Bitte warten Sie einen Moment und versuchen Sie es noch einmal.",
    "UNAUTHENTICATED": "Sie wurden abgemeldet. Bitte melden Sie sich noch einmal an.",
    "BAD_USER_INPUT": "Das ist im Moment nicht möglich.",
    "OTHER": "Bei uns ist etwas schiefgegangen. Bitte versuchen Sie es gleich noch einmal."
  },
  "en": {
    "NETWORK": "The shop cannot reach its server. Please check the connection and try again.",
    "STRIPE_UNAVAILABLE": "Our payment partner cannot be reached right now. Please try again in a moment.",
    "RATE_LIMITED": "That was a lot of requests at once. Please wait a moment and try again.",
    "UNAUTHENTICATED": "You were signed out. Please sign in again.",
    "BAD_USER_INPUT": "That is not possible at the moment.",
    "OTHER": "Something went wrong on our side. Please try again in a moment."
  },
  "fr": {
    "NETWORK": "La boutique ne parvient pas à joindre son serveur. Vérifiez la connexion et réessayez.",
    "STRIPE_UNAVAILABLE": "Notre partenaire de paiement est injoignable pour le moment. Réessayez dans un instant.",
    "RATE_LIMITED": "Cela fait beaucoup de demandes à la fois. Attendez un instant et réessayez.",
    "UNAUTHENTICATED": "Vous avez été déconnecté. Veuillez vous reconnecter.",
    "BAD_USER_INPUT": "Ce n’est pas possible pour le moment.",
    "OTHER": "Une erreur est survenue de notre côté. Réessayez dans un instant."
  }
};
