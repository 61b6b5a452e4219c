// GA4GH visas as a resource-entitlement service would sign them: with its own key, under its own issuer.

import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

const DAY = 86400;

export async function createVisaIssuer(mountUrl) {
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const kid = randomUUID();
  const issuer = `${mountUrl}/visas/`;
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid, use: "sig", alg: "RS256" }] };

  function sign(sub, visa) {
    const now = Math.floor(Date.now() / 1000);
    const statement = {
      type: visa.type ?? "ControlledAccessGrants",
      asserted: visa.asserted ?? now - DAY,
      value: visa.value,
      source: visa.source,
      by: visa.by ?? "dac",
    };
    if (visa.conditions) {
      statement.conditions = visa.conditions;
    }
    return new SignJWT({ ga4gh_visa_v1: statement })
      .setProtectedHeader({ alg: "RS256", kid, jku: `${issuer}jwk`, typ: "vnd.ga4gh.visa+jwt" })
      .setIssuer(issuer)
      .setSubject(sub)
      .setIssuedAt(now)
      .setExpirationTime(now + (visa.seconds ?? 3600))
      .setJti(randomUUID())
      .sign(privateKey);
  }

  return {
    keys,
    passport: (persona) => Promise.all((persona.visas ?? []).map((visa) => sign(persona.sub, visa))),
  };
}
