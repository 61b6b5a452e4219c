// Demonstration OpenID provider: stands in for Life Science Login, and refuses to start anywhere else.

import http from "node:http";
import { fileURLToPath } from "node:url";
import { createProvider, forgetSession, isSignIn } from "./openid.mjs";
import { Personas } from "./personas.mjs";
import { readSettings, SettingError } from "./settings.mjs";
import { createVisaIssuer } from "./visas.mjs";
import { Website } from "./website.mjs";

const LONGEST_FORM = 1024;

/** One line per event; values are quoted, and neither tokens nor secrets are among them. */
function log(event, facts = {}) {
  const words = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  console.log([new Date().toISOString(), event, ...words].join(" "));
}

async function readForm(request) {
  let body = "";
  for await (const chunk of request) {
    body += chunk;
    if (body.length > LONGEST_FORM) {
      break;
    }
  }
  return new URLSearchParams(body);
}

function handler({ settings, personas, provider, visas, website }) {
  const openid = provider.callback();

  async function persona(request, response) {
    try {
      await provider.interactionDetails(request, response);
    } catch {
      website.expired(response);
      return;
    }
    const chosen = request.method === "POST" && personas.byKey((await readForm(request)).get("persona"));
    if (!chosen) {
      website.choosePersona(response, personas.all());
      return;
    }
    log("persona-chosen", { persona: chosen.key });
    const login = { accountId: chosen.sub, remember: false };
    await provider.interactionFinished(request, response, { login, consent: {} });
  }

  async function route(request, response, path) {
    if (path.startsWith("/assets/")) {
      website.asset(response, path.slice("/assets/".length));
    } else if (path === "/visas/jwk") {
      website.send(response, 200, "application/json", JSON.stringify(visas.keys));
    } else if (path.startsWith("/persona/")) {
      await persona(request, response);
    } else {
      if (isSignIn(path)) {
        forgetSession(request);
      }
      request.originalUrl = request.url;
      request.url = request.url.slice(settings.mount.length) || "/";
      await openid(request, response);
    }
  }

  return async (request, response) => {
    const [path] = request.url.split("?");
    if (path.endsWith("/health")) {
      website.send(response, 200, "text/plain", "ok\n");
      return;
    }
    if (!path.startsWith(`${settings.mount}/`)) {
      website.notFound(response);
      return;
    }
    request.headers.host = settings.host;
    request.headers["x-forwarded-host"] = settings.host;
    request.headers["x-forwarded-proto"] = settings.protocol;
    try {
      await route(request, response, path.slice(settings.mount.length));
    } catch (error) {
      log("failure", { path, reason: error.message });
      if (response.headersSent) {
        response.destroy();
      } else {
        website.failed(response);
      }
    }
  };
}

function reread(personas) {
  try {
    log("personas-read", { count: personas.reload() });
  } catch (error) {
    log("personas-kept", { reason: error.message });
  }
}

async function main() {
  const settings = readSettings(process.env, fileURLToPath(new URL("./personas.json", import.meta.url)));
  const personas = new Personas(settings.personas);
  const visas = await createVisaIssuer(`${settings.protocol}://${settings.host}${settings.mount}`);
  const website = new Website(settings);
  const provider = await createProvider({ settings, personas, visas, website, log });

  process.on("SIGHUP", () => reread(personas));
  const server = http.createServer(handler({ settings, personas, provider, visas, website }));
  server.on("error", (error) => {
    console.error(`Cannot listen on ${settings.bind}:${settings.port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(settings.port, settings.bind, () =>
    log("ready", {
      issuer: settings.issuer,
      bind: settings.bind,
      port: settings.port,
      personas: personas.all().length,
    }),
  );
}

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => process.exit(0));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SettingError)) {
    throw error;
  }
  console.error(error.message);
  process.exit(1);
}
