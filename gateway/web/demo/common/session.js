// Who is signed in, for as long as the tab is open. The token comes from the sign-in of `gateway dev`, which stands for
// the identity provider of a real application.

const KEY = "demo.session";

/** @returns {{token: string, expiresAt: number, user: {name: string, email: string}}|null} */
export function session() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return kept && kept.expiresAt * 1000 > Date.now() ? kept : null;
}

/** The users that `gateway dev` knows; none where the page is served without that sign-in. */
export async function users() {
  const response = await fetch("/dev/users");
  return response.ok ? response.json() : [];
}

/** @returns {Promise<boolean>} whether it worked */
export async function signIn(email) {
  const response = await fetch("/dev/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email }),
  });
  if (response.ok) sessionStorage.setItem(KEY, JSON.stringify(await response.json()));
  return response.ok;
}

export const signOut = () => sessionStorage.removeItem(KEY);
