// One request to the hub's API, with the token that it asks of forms.

export async function request(method, address) {
  const url = new URL(address, window.location.href);
  url.searchParams.set("_xsrf", window.jhdata.xsrf_token);
  const response = await fetch(url, { method, headers: { Accept: "application/json" } });
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Error(answer.message || `Lightbox answered with status ${response.status}.`);
  }
  return response;
}
