// Requests to the server, and their answers.

/** The server answered with an error. */
export class Refusal extends Error {
  constructor(status, error, hint) {
    super(error);
    this.status = status;
    this.hint = hint;
  }
}

/** The server did not answer. */
export class Gone extends Error {}

let key = sessionStorage.getItem("matlake-key");

/** Send a key with every request from now on, until the tab is closed. */
export function useKey(value) {
  key = value;
  sessionStorage.setItem("matlake-key", value);
}

/** Send a request; `body` makes it a POST. */
export async function send(path, body, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let response, document;
  try {
    response = await fetch(path, options);
    document = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone(String(error));
  }
  if (!response.ok) throw new Refusal(response.status, document.error, document.hint);
  return document;
}
