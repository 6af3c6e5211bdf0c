// What a view asks for: once, again when its question changes, and from time to time if it says so.
import { get } from "./api.js";
import { html, useEffect, useState } from "./html.js";

/** The newest answer to a path, what went wrong with the last try, and whether that was another path; a null path asks nothing. */
export function useAnswer(path, everySeconds = 0) {
  const [found, setFound] = useState({ path: null, data: null, error: null });
  useEffect(() => {
    if (path === null) return undefined;
    const stop = new AbortController();
    let timer;
    const ask = async () => {
      try {
        const data = await get(path, stop.signal);
        setFound({ path, data, error: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        setFound((before) => ({ path, data: before.path === path ? before.data : null, error }));
      }
      if (everySeconds > 0 && !stop.signal.aborted) timer = setTimeout(ask, everySeconds * 1_000);
    };
    ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, everySeconds]);
  return { ...found, stale: found.path !== path };
}

export function Trouble({ error, what }) {
  return html`<section class="empty" role="alert"><h1>${what} cannot be shown</h1><p>${error.message}</p>
    <p><a href="#/">Tonight</a> has the newest of everything; or load the page again.</p></section>`;
}

export const Asking = ({ what }) => html`<p class="quiet" role="status">Asking for ${what} …</p>`;
