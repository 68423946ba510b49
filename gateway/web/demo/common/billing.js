// The elements that the pages are made of, with the token of who is signed in here and the language that was chosen here.

import { configure } from "/elements.js";
import { locale } from "./language.js";
import { session } from "./session.js";

export const billing = configure({ locale, token: () => session()?.token });
