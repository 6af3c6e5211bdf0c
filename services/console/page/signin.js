// Who looks: the token is pasted here where the console asks for one and the address brought none.
import { forgetToken, get, hasToken, signIn, useToken } from "./api.js";
import { effect, html, signal, useEffect, useId, useRef, useState } from "./html.js";

/** What the console knows of the caller; null until it said. */
export const me = signal(null);

effect(() => {
  if (signIn.value !== null) return;
  get("/v1/me").then(
    (answer) => {
      me.value = answer;
    },
    () => {
      me.value = null;
    },
  );
});

export function Who() {
  if (!me.value) return null;
  const roles = me.value.roles?.length > 0 ? ` (${me.value.roles.join(", ")})` : "";
  return html`<span class="who" title="As whom the console knows you">${me.value.name}${roles}</span>
    ${hasToken() && html`<button class="small" onClick=${forgetToken}>Sign out</button>`}`;
}

export function SignIn() {
  return signIn.value && html`<${Form} why=${signIn.value.why} />`;
}

function Form({ why }) {
  const dialog = useRef(null);
  const [token, setToken] = useState("");
  const [title, field] = [useId(), useId()];
  useEffect(() => dialog.current.showModal(), []);
  const enter = (event) => {
    event.preventDefault();
    if (token.trim()) useToken(token);
  };
  return html`
    <dialog ref=${dialog} class="signin" aria-labelledby=${title} onCancel=${(event) => event.preventDefault()}>
      <form method="dialog" onSubmit=${enter}>
        <h2 id=${title}>Who are you?</h2>
        <p>${why || "This console wants a token."} <code>nightshift up</code> prints one with the page’s address; whoever runs
          the installation gives you yours.</p>
        <label for=${field}>Token</label>
        <textarea id=${field} required rows="3" spellcheck="false" autocomplete="off" value=${token} onInput=${(event) => setToken(event.currentTarget.value)}></textarea>
        <p class="quiet">It is kept in this tab only, and forgotten with it.</p>
        <div class="buttons"><button class="primary">Sign in</button></div>
      </form>
    </dialog>`;
}
