// An OpenID provider that answers as Life Science Login does: its scopes, claims, paths and opaque subjects.

import { randomBytes, randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";
import { MemoryStore } from "./store.mjs";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const CLAIMS = {
  openid: ["sub"],
  profile: ["name", "given_name", "family_name", "preferred_username"],
  email: ["email", "email_verified"],
  eduperson_entitlement: ["eduperson_entitlement"],
  eduperson_assurance: ["eduperson_assurance"],
  eduperson_scoped_affiliation: ["eduperson_scoped_affiliation"],
  voperson_external_affiliation: ["voperson_external_affiliation"],
  ga4gh_passport_v1: ["ga4gh_passport_v1"],
};

const ROUTES = {
  authorization: "/authorize",
  token: "/token",
  userinfo: "/userinfo",
  jwks: "/jwk",
  introspection: "/introspect",
  revocation: "/revoke",
  end_session: "/endsession",
};

const SESSION_COOKIE = "lightbox-idp-session";

async function signingKey() {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), use: "sig", alg: "RS256" };
}

function cookies(mount) {
  const common = { httpOnly: true, sameSite: "lax", signed: true };
  return {
    keys: [randomBytes(32).toString("base64url")],
    names: {
      session: SESSION_COOKIE,
      interaction: "lightbox-idp-interaction",
      resume: "lightbox-idp-resume",
    },
    long: { ...common, path: mount || "/" },
    short: common,
  };
}

function client(settings) {
  return {
    client_id: settings.clientId,
    client_secret: settings.clientSecret,
    client_name: "Lightbox",
    redirect_uris: settings.redirectUris,
    post_logout_redirect_uris: settings.clientOrigins.map((origin) => `${origin}/`),
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_basic",
  };
}

/** The hub is the provider's own client: what it asks for is granted without a page of its own. */
async function grantAll(ctx) {
  const { client: asking, params, provider, session } = ctx.oidc;
  const grant = new provider.Grant({ clientId: asking.clientId, accountId: session.accountId });
  grant.addOIDCScope(params.scope);
  await grant.save();
  return grant;
}

function accounts(personas, visas) {
  return (_ctx, sub) => {
    const persona = personas.bySubject(sub);
    return (
      persona && {
        accountId: sub,
        async claims(use, scope) {
          const claims = { ...persona.claims, sub };
          if (use === "userinfo" && scope.split(" ").includes("ga4gh_passport_v1")) {
            claims.ga4gh_passport_v1 = await visas.passport(persona);
          }
          return claims;
        },
      }
    );
  };
}

function report(provider, log) {
  const reason = (error) => error.error_description ?? error.message;
  provider.on("authorization.success", (ctx) => log("authorised", { sub: ctx.oidc.session.accountId }));
  provider.on("grant.success", (ctx) =>
    log("tokens-issued", {
      grant: ctx.oidc.params.grant_type,
      sub: ctx.oidc.account?.accountId,
    }),
  );
  provider.on("grant.revoked", () => log("grant-revoked"));
  provider.on("end_session.success", () => log("signed-out"));
  for (const event of ["authorization", "grant", "userinfo", "introspection", "revocation", "end_session"]) {
    provider.on(`${event}.error`, (ctx, error) =>
      log(`${event.replace("_", "-")}-refused`, {
        error: error.error ?? error.message,
        reason: reason(error),
      }),
    );
  }
  provider.on("server_error", (ctx, error) => log("failure", { path: ctx.path, reason: error.message }));
}

/** Every sign-in starts from nothing, so that after a sign-out another persona can be chosen. */
export function forgetSession(request) {
  const kept = (request.headers.cookie ?? "").split("; ").filter((pair) => !pair.startsWith(SESSION_COOKIE));
  request.headers.cookie = kept.join("; ");
}

export const isSignIn = (path) =>
  path === ROUTES.authorization || path.startsWith(`${ROUTES.authorization}/`);

export async function createProvider({ settings, personas, visas, website, log }) {
  const provider = new Provider(settings.issuer, {
    adapter: MemoryStore,
    clients: [client(settings)],
    jwks: { keys: [await signingKey()] },
    cookies: cookies(settings.mount),
    routes: ROUTES,
    scopes: ["offline_access", ...Object.keys(CLAIMS)],
    claims: CLAIMS,
    clientAuthMethods: ["client_secret_basic"],
    responseTypes: ["code"],
    pkce: { required: () => true },
    ttl: {
      AccessToken: HOUR,
      AuthorizationCode: MINUTE,
      Grant: 14 * DAY,
      IdToken: HOUR,
      Interaction: HOUR,
      RefreshToken: 14 * DAY,
      Session: DAY,
    },
    // Life Science Login ties refresh tokens to the grant type and lets them outlive the browser's session.
    issueRefreshToken: async (_ctx, asking) => asking.grantTypeAllowed("refresh_token"),
    expiresWithSession: async () => false,
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => website.askSignOut(ctx, form),
        postLogoutSuccessSource: (ctx) => website.signedOut(ctx),
      },
    },
    interactions: { url: (_ctx, interaction) => `${settings.mount}/persona/${interaction.uid}` },
    loadExistingGrant: grantAll,
    findAccount: accounts(personas, visas),
    renderError: (ctx, out) => website.refused(ctx, out),
  });
  provider.proxy = true;
  report(provider, log);
  return provider;
}
