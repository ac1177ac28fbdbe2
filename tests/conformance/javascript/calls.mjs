// Makes calls of the Globus JavaScript SDK as a test asks for them: one a line on stdin, one answer a line on stdout.
//
//   {"login": {"client": id, "secret": secret, "scope": scopes}}    take a service account's tokens
//   {"keep": token document}                                        take these tokens
//   {"call": "transfer.task.get", "args": [id], "options": {}}      make a request: what the service answered
//   {"app": {"client": id, "redirect": url, "scopes": scopes}}      be a web application that people log in to
//   {"send": true or error}                                         send the person to log in: the address of the page
//   {"receive": url}                                                take who comes back: the token document
//   {"functions": true}                                             the functions that make requests, with what they take
//   {"value": "errors.isConsentRequiredError", "args": [document]}  make none: what a function returns, or a constant
//
// The SDK is unmodified. It finds the sandbox by its own environment variables (GLOBUS_SDK_SERVICE_URL_…), and sends
// its name as the user agent, which it leaves to the platform otherwise, by its own GLOBUS_SDK_OPTIONS.

import { createInterface } from "node:readline";
import * as sdk from "@globus/sdk";

process.env.GLOBUS_SDK_OPTIONS = JSON.stringify({
  fetch: { options: { headers: { "User-Agent": `@globus/sdk/${sdk.info.VERSION}` } } },
});

let manager = sdk.authorization.create({ client: process.env.GLOBUS_CLIENT_ID, defaultScopes: false });

/** What a dotted name leads to, such as `transfer.task.get`. */
function named(name) {
  const found = name.split(".").reduce((module, part) => module?.[part], sdk);
  if (found === undefined) {
    throw new Error(`The SDK has no ${name}`);
  }
  return found;
}

/** The functions that make requests, and what each takes before its options: ids, or one object of them. */
function* requests(module, prefix) {
  for (const [name, found] of Object.entries(module)) {
    if (typeof found === "object" && found !== null) {
      yield* requests(found, `${prefix}${name}.`);
    } else if (typeof found === "function" && prefix && found.toString().includes("serviceRequest(")) {
      // Options of the SDK are the last parameter; JavaScript counts none from the first with a default on.
      const count = found.length < 2 ? found.length : found.length - 2;
      yield { name: `${prefix}${name}`, count, named: found.toString().startsWith("function ({") };
    }
  }
}

async function answerOf(response) {
  const text = await response.text();
  const headers = Object.fromEntries(response.headers.entries());
  const isJson = (headers["content-type"] ?? "").startsWith("application/json");
  return { status: response.status, headers, document: isJson && text ? JSON.parse(text) : text };
}

// As much of a browser as a login needs: what a page keeps, where it is, where it goes. Settings are the window's, too.
const kept = new Map();
globalThis.sessionStorage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};

async function inBrowser(href, act) {
  const window = { ...process.env, location: { href, assign: (url) => (window.location.href = String(url)) } };
  globalThis.window = window;
  try {
    return { returned: await act(), href: window.location.href };
  } finally {
    delete globalThis.window;
  }
}

const COMMANDS = {
  async app(configuration) {
    manager = sdk.authorization.create({ ...configuration, useRefreshTokens: true });
    return null;
  },

  async send(error) {
    const go = () => (error === true ? manager.login() : manager.handleErrorResponse(error));
    return (await inBrowser("", go)).href;
  },

  async receive(href) {
    return (await inBrowser(href, () => manager.handleCodeRedirect({ shouldReplace: false }))).returned;
  },

  async login({ client, secret, scope }) {
    manager = sdk.authorization.create({ client, defaultScopes: false });
    const basic = Buffer.from(`${client}:${secret}`).toString("base64");
    const answer = await answerOf(
      await sdk.auth.oauth2.token.exchange({
        payload: { grant_type: "client_credentials", scope },
        headers: { Authorization: `Basic ${basic}` },
      }),
    );
    if (sdk.auth.isGlobusAuthTokenResponse(answer.document)) {
      manager.addTokenResponse(answer.document);
    }
    return answer;
  },

  async keep(tokens) {
    manager.addTokenResponse(tokens);
    return null;
  },

  // Every function that makes a request takes options, and then options of the SDK: whose tokens it sends. A manager's
  // token would come before one that the caller names.
  async call(name, { args, options }) {
    const sdkOptions = options.headers?.Authorization ? {} : { manager };
    return answerOf(await named(name)(...args, options, sdkOptions));
  },

  async functions() {
    return [...requests(sdk, "")];
  },

  async value(name, { args }) {
    const found = named(name);
    return typeof found === "function" ? found(...args) : found;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let reply;
  try {
    const command = Object.keys(COMMANDS).find((known) => known in request);
    reply = { returned: (await COMMANDS[command](request[command], request)) ?? null };
  } catch (error) {
    reply = { thrown: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
