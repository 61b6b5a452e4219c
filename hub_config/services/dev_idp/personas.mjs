// The people of the demonstration, read from a file that may change while the program runs.

import { readFileSync } from "node:fs";
import { SettingError } from "./settings.mjs";

const SUBJECT = /^[0-9a-f]{40}@lifescience-ri\.eu$/;

function check(key, persona) {
  if (!/^[a-z][a-z0-9-]*$/.test(key)) {
    throw new SettingError(`Persona "${key}": the name must be lower-case letters, digits and hyphens.`);
  }
  if (!SUBJECT.test(persona?.sub)) {
    throw new SettingError(`Persona "${key}": sub must be 40 hexadecimal digits and @lifescience-ri.eu.`);
  }
  if (typeof persona.claims?.name !== "string" || typeof persona.description !== "string") {
    throw new SettingError(`Persona "${key}" needs a description and claims with a name.`);
  }
  if (!Array.isArray(persona.visas ?? [])) {
    throw new SettingError(`Persona "${key}": visas must be a list.`);
  }
}

function read(path) {
  let entries;
  try {
    entries = Object.entries(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new SettingError(`LIGHTBOX_IDP_PERSONAS: cannot read ${path}: ${error.message}`, { cause: error });
  }
  for (const [key, persona] of entries) {
    check(key, persona);
  }
  const subjects = new Set(entries.map(([, persona]) => persona.sub));
  if (entries.length === 0 || subjects.size !== entries.length) {
    throw new SettingError(`LIGHTBOX_IDP_PERSONAS: ${path} must name personas, each with its own sub.`);
  }
  return entries.map(([key, persona]) => ({ key, ...persona }));
}

export class Personas {
  #path;

  #people;

  constructor(path) {
    this.#path = path;
    this.reload();
  }

  /** Reads the file again; what is held stays as it is when the file is wrong. */
  reload() {
    this.#people = read(this.#path);
    return this.#people.length;
  }

  all() {
    return this.#people;
  }

  byKey(key) {
    return this.#people.find((persona) => persona.key === key);
  }

  bySubject(sub) {
    return this.#people.find((persona) => persona.sub === sub);
  }
}
