// The environment of the program as one frozen object; whatever is missing or wrong is named in one line.

export class SettingError extends Error {}

function required(environment, name) {
  const value = environment[name]?.trim();
  if (!value) {
    throw new SettingError(`${name} is not set.`);
  }
  return value;
}

function webAddress(name, text) {
  const url = URL.parse(text);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new SettingError(`${name} must be an http or https address, not "${text}".`);
  }
  return url;
}

function port(environment, name) {
  const text = required(environment, name);
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > 65535) {
    throw new SettingError(`${name} must be a port number from 1 to 65535, not "${text}".`);
  }
  return number;
}

function refuseUnlessDemo(mode) {
  if (mode !== "demo") {
    const found = mode ? `"${mode}"` : "not set";
    throw new SettingError(
      "The demonstration login gives anybody any role, so it starts only with LIGHTBOX_MODE=demo;" +
        ` LIGHTBOX_MODE is ${found}.`,
    );
  }
}

export function readSettings(environment, defaultPersonas) {
  refuseUnlessDemo(environment.LIGHTBOX_MODE);
  const issuer = required(environment, "LIGHTBOX_IDP_ISSUER");
  const issuerUrl = webAddress("LIGHTBOX_IDP_ISSUER", issuer);
  if (issuerUrl.search || issuerUrl.hash) {
    throw new SettingError("LIGHTBOX_IDP_ISSUER must have neither a query nor a fragment.");
  }
  const redirectUris = required(environment, "LIGHTBOX_IDP_REDIRECT_URIS")
    .split(",")
    .map((uri) => uri.trim())
    .filter(Boolean);
  if (redirectUris.length === 0) {
    throw new SettingError("LIGHTBOX_IDP_REDIRECT_URIS names no address.");
  }
  const clientOrigins = redirectUris.map((uri) => webAddress("LIGHTBOX_IDP_REDIRECT_URIS", uri).origin);
  return Object.freeze({
    issuer,
    // Where browser and hub reach the provider: these come from the issuer, whatever a request claims.
    host: issuerUrl.host,
    protocol: issuerUrl.protocol.slice(0, -1),
    mount: issuerUrl.pathname.replace(/\/+$/, ""),
    bind: environment.LIGHTBOX_IDP_BIND?.trim() || "127.0.0.1",
    port: port(environment, "LIGHTBOX_IDP_PORT"),
    clientId: required(environment, "LIGHTBOX_IDP_CLIENT_ID"),
    clientSecret: required(environment, "LIGHTBOX_IDP_CLIENT_SECRET"),
    redirectUris,
    clientOrigins: [...new Set(clientOrigins)],
    personas: environment.LIGHTBOX_IDP_PERSONAS?.trim() || defaultPersonas,
  });
}
