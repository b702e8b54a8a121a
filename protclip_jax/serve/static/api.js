// Requests to the server. The token, where there is one, comes in the address behind '#', which browsers send to nobody.

const KEY = "protclip-token";

// Whether there was one.
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEY, decoded(found[1]));
    history.replaceState(null, "", location.pathname + "#/");
  }
  return Boolean(found);
}

// What was percent-encoded; as it stands where it is not, so that the server can say that the token is wrong.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The server's sentence on why it gives no answer, with the status.
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

// The answer as an object; a Refusal with the server's sentence where it refuses.
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
    throw new Error("The server cannot be reached; is it still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.status === 413) throw new Error("The question is longer than this server accepts.");
    throw new Error(`The server answered with status ${response.status} and no explanation.`);
  }
  if (!response.ok) throw new Refusal(answer.error || `The server answered with status ${response.status}.`, response.status);
  return answer;
}
