// Sessions, grants and tokens in memory: they end with the program, as a demonstration's should.
// One object holds all models, since revoking a grant reaches every token that came from it.

const records = new Map();

function live(id) {
  const record = records.get(id);
  if (record?.expires <= Date.now()) {
    records.delete(id);
    return undefined;
  }
  return record?.payload;
}

function dropExpired() {
  for (const id of records.keys()) {
    live(id);
  }
}

setInterval(dropExpired, 60_000).unref();

export class MemoryStore {
  constructor(model) {
    this.model = model;
  }

  #id(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const expires = expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000;
    records.set(this.#id(id), { payload, expires });
  }

  async find(id) {
    return live(this.#id(id));
  }

  async findByUid(uid) {
    return this.#findBy("uid", uid);
  }

  async findByUserCode(userCode) {
    return this.#findBy("userCode", userCode);
  }

  async consume(id) {
    const payload = live(this.#id(id));
    if (payload) {
      payload.consumed = Math.floor(Date.now() / 1000);
    }
  }

  async destroy(id) {
    records.delete(this.#id(id));
  }

  async revokeByGrantId(grantId) {
    for (const [id, record] of records) {
      if (record.payload.grantId === grantId) {
        records.delete(id);
      }
    }
  }

  #findBy(key, value) {
    for (const id of records.keys()) {
      if (id.startsWith(`${this.model}:`) && records.get(id).payload[key] === value) {
        return live(id);
      }
    }
    return undefined;
  }
}
