// Requests to the server. A token comes in the address after '#', which browsers do not send to the server.

const KEY = "protclip-token";

// Stores the token of the address; returns whether there is one.
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEY, decoded(found[1]));
    history.replaceState(null, "", location.pathname + "#/");
  }
  return Boolean(found);
}

// Decodes percent-encoding. Malformed text is returned unchanged, so that the server can reject the token.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// An error that the server explained, with its status.
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

// Returns the answer as an object; throws a Refusal if the server answers with an error.
export async function ask(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST", headers, signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached; check that it is running.");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.status === 413) throw new Error("The query is longer than this server accepts; shorten it.");
    throw new Error(`The server answered with status ${response.status} and no explanation.`);
  }
  if (!response.ok) throw new Refusal(answer.error || `The server answered with status ${response.status}.`, response.status);
  return answer;
}
