/** A JSON answer that has not become a response yet: whoever mounts the route adds its headers and makes the response once. */
export class JsonAnswer {
  readonly value: unknown;
  readonly headers: Record<string, string>;

  constructor(value: unknown, headers: Record<string, string> = {}) {
    this.value = value;
    this.headers = headers;
  }
}
