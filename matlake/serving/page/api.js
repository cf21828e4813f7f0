// Requests to the server, and their answers.

/** The server answered with an error. */
export class Refusal extends Error {
  constructor(status, error, hint, retryAfter) {
    super(error);
    this.status = status;
    this.hint = hint;
    this.retryAfter = retryAfter; // seconds, or null
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

/** Send a request; `body` makes it a POST. Returns the document of the answer. */
export async function send(path, body, signal) {
  return (await request(path, body, signal)).json();
}

/** Return an image as an address of its own: an image element cannot send a key. */
export async function imageAddress(path) {
  const blob = await (await request(path)).blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Gone("the image could not be read"));
    reader.readAsDataURL(blob);
  });
}

async function request(path, body, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = typeof body === "string" ? body : JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let response;
  let problem = null;
  try {
    response = await fetch(path, options);
    if (!response.ok) problem = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone(String(error));
  }
  if (problem) {
    const seconds = Number(response.headers.get("Retry-After"));
    throw new Refusal(response.status, problem.error, problem.hint, Number.isFinite(seconds) && seconds > 0 ? seconds : null);
  }
  return response;
}
