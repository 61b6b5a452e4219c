// What people see: the persona page, messages, and the few files they need; all from files beside this one.

import { existsSync, readFileSync } from "node:fs";

const SHARED = new URL("../../pages/static/", import.meta.url);
const OWN = new URL("./pages/", import.meta.url);

const text = (url) => readFileSync(url, "utf8");

const FRAGMENTS = Object.fromEntries(
  ["layout", "personas", "card", "message", "sign-out"].map((name) => [
    name,
    text(new URL(`${name}.html`, OWN)),
  ]),
);
const ASSETS = {
  "tokens.css": { type: "text/css", body: text(new URL("tokens.css", SHARED)) },
  "page.css": { type: "text/css", body: text(new URL("page.css", OWN)) },
  "logo.svg": { type: "image/svg+xml", body: text(new URL("logo.svg", SHARED)) },
};

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (value) => String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);

/** {{name}} is escaped, {{{name}}} is HTML that another fragment made. */
function fill(fragment, values) {
  return FRAGMENTS[fragment].replace(/\{\{\{(\w+)\}\}\}|\{\{(\w+)\}\}/g, (_, html, plain) =>
    html ? values[html] : escapeHtml(values[plain]),
  );
}

function icon(name) {
  const file = new URL(`icons/${/^[a-z0-9-]+$/.test(name ?? "") ? name : "person-circle"}.svg`, SHARED);
  return existsSync(file) ? text(file) : "";
}

export class Website {
  #settings;

  constructor(settings) {
    this.#settings = settings;
  }

  #page(title, content) {
    const { mount, clientOrigins } = this.#settings;
    return fill("layout", { title, content, mount, home: `${clientOrigins[0]}/` });
  }

  #message(title, words, action = "") {
    return this.#page(
      title,
      fill("message", {
        title,
        words,
        action,
        home: `${this.#settings.clientOrigins[0]}/`,
      }),
    );
  }

  headers() {
    // Browsers apply form-action to the redirects that follow, so the client's address belongs to it.
    const targets = ["'self'", ...this.#settings.clientOrigins].join(" ");
    return {
      "cache-control": "no-store",
      "content-security-policy":
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';" +
        ` frame-ancestors 'none'; form-action ${targets}`,
      "referrer-policy": "same-origin",
      "x-content-type-options": "nosniff",
    };
  }

  send(response, status, type, body) {
    response.writeHead(status, { ...this.headers(), "content-type": `${type}; charset=utf-8` });
    response.end(body);
  }

  asset(response, name) {
    const found = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
    if (found) {
      this.send(response, 200, found.type, found.body);
    } else {
      this.notFound(response);
    }
  }

  choosePersona(response, people) {
    const cards = people
      .map((persona) =>
        fill("card", {
          key: persona.key,
          name: persona.claims.name,
          description: persona.description,
          icon: icon(persona.icon),
        }),
      )
      .join("");
    this.send(response, 200, "text/html", this.#page("Demonstration login", fill("personas", { cards })));
  }

  expired(response) {
    this.send(
      response,
      400,
      "text/html",
      this.#message(
        "This sign-in is no longer open",
        "It took more than an hour, was finished already, or was begun in another browser." +
          " Go back to Lightbox and sign in again.",
      ),
    );
  }

  notFound(response) {
    this.send(
      response,
      404,
      "text/html",
      this.#message(
        "There is no such page",
        "The demonstration login has no page at this address. Go back to Lightbox and sign in from there.",
      ),
    );
  }

  failed(response) {
    this.send(
      response,
      500,
      "text/html",
      this.#message(
        "The demonstration login failed",
        "Something went wrong on our side. Go back to Lightbox and sign in again.",
      ),
    );
  }

  refused(ctx, { error, error_description: description }) {
    this.#render(
      ctx,
      this.#message(
        "Signing in did not work",
        `The demonstration login refused the request: ${description ?? error}.` +
          " Go back to Lightbox and sign in again.",
      ),
    );
  }

  askSignOut(ctx, form) {
    this.#render(
      ctx,
      this.#message(
        "Sign out?",
        "You are about to leave the demonstration login.",
        fill("sign-out", { form }),
      ),
    );
  }

  signedOut(ctx) {
    this.#render(ctx, this.#message("You are signed out", "Sign in again to choose a persona."));
  }

  #render(ctx, html) {
    ctx.set(this.headers());
    ctx.type = "html";
    ctx.body = html;
  }
}
