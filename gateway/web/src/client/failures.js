// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {Record<string, Record<string, string>>} */
export const FAILURES = {
  "ar": {
    "NETWORK": "لا يستطيع المتجر الوصول إلى خادمه. تحقق من الاتصال وأعد المحاولة.",
    "STRIPE_UNAVAILABLE": "لا يمكن الوصول إلى شريك الدفع لدينا حاليًا. أعد المحاولة بعد قليل.",
    "RATE_LIMITED": "كانت هذه طلبات كثيرة دفعة واحدة. انتظر لحظة وأعد المحاولة.",
    "UNAUTHENTICATED": "انتهت جلستك. سجّل الدخول مرة أخرى.",
    "BAD_USER_INPUT": "هذا غير ممكن حاليًا.",
    "OTHER": "حدث خطأ من جانبنا. أعد المحاولة بعد قليل."
  },
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
  "es": {
    "NETWORK": "La tienda no puede conectar con su servidor. Comprueba la conexión e inténtalo de nuevo.",
    "STRIPE_UNAVAILABLE": "Ahora mismo no podemos conectar con nuestro socio de pagos. Inténtalo de nuevo en un momento.",
    "RATE_LIMITED": "Han sido muchas solicitudes a la vez. Espera un momento e inténtalo de nuevo.",
    "UNAUTHENTICATED": "Se ha cerrado tu sesión. Vuelve a iniciarla, por favor.",
    "BAD_USER_INPUT": "Eso no es posible en este momento.",
    "OTHER": "Algo ha fallado por nuestra parte. Inténtalo de nuevo en un momento."
  },
  "fr": {
    "NETWORK": "La boutique ne parvient pas à joindre son serveur. Vérifiez la connexion et réessayez.",
    "STRIPE_UNAVAILABLE": "Notre partenaire de paiement est injoignable pour le moment. Réessayez dans un instant.",
    "RATE_LIMITED": "Cela fait beaucoup de demandes à la fois. Attendez un instant et réessayez.",
    "UNAUTHENTICATED": "Vous avez été déconnecté. Veuillez vous reconnecter.",
    "BAD_USER_INPUT": "Ce n’est pas possible pour le moment.",
    "OTHER": "Une erreur est survenue de notre côté. Réessayez dans un instant."
  },
  "it": {
    "NETWORK": "Il negozio non riesce a raggiungere il suo server. Controlla la connessione e riprova.",
    "STRIPE_UNAVAILABLE": "In questo momento il nostro partner di pagamento non è raggiungibile. Riprova tra poco.",
    "RATE_LIMITED": "Sono state molte richieste in una volta. Aspetta un momento e riprova.",
    "UNAUTHENTICATED": "La tua sessione è terminata. Accedi di nuovo.",
    "BAD_USER_INPUT": "Al momento non è possibile.",
    "OTHER": "Qualcosa è andato storto da parte nostra. Riprova tra poco."
  },
  "ja": {
    "NETWORK": "ショップがサーバーに接続できません。接続を確認して、もう一度お試しください。",
    "STRIPE_UNAVAILABLE": "現在、決済サービスに接続できません。しばらくしてからもう一度お試しください。",
    "RATE_LIMITED": "一度に多くのリクエストがありました。少し待ってからもう一度お試しください。",
    "UNAUTHENTICATED": "サインアウトされました。もう一度サインインしてください。",
    "BAD_USER_INPUT": "現在はできません。",
    "OTHER": "こちらで問題が発生しました。しばらくしてからもう一度お試しください。"
  },
  "nl": {
    "NETWORK": "De winkel kan zijn server niet bereiken. Controleer de verbinding en probeer het opnieuw.",
    "STRIPE_UNAVAILABLE": "Onze betaalpartner is op dit moment niet bereikbaar. Probeer het zo opnieuw.",
    "RATE_LIMITED": "Dat waren veel verzoeken tegelijk. Wacht even en probeer het opnieuw.",
    "UNAUTHENTICATED": "Je bent uitgelogd. Log opnieuw in.",
    "BAD_USER_INPUT": "Dat is op dit moment niet mogelijk.",
    "OTHER": "Er is bij ons iets misgegaan. Probeer het zo opnieuw."
  },
  "pt": {
    "NETWORK": "A loja não consegue acessar o servidor. Verifique a conexão e tente de novo.",
    "STRIPE_UNAVAILABLE": "No momento não conseguimos acessar nosso parceiro de pagamentos. Tente de novo em instantes.",
    "RATE_LIMITED": "Foram muitas solicitações de uma vez. Espere um momento e tente de novo.",
    "UNAUTHENTICATED": "Sua sessão foi encerrada. Entre de novo, por favor.",
    "BAD_USER_INPUT": "Isso não é possível no momento.",
    "OTHER": "Algo deu errado do nosso lado. Tente de novo em instantes."
  }
};
