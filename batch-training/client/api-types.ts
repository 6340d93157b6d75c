import type * as z from "zod";
import type { BytesBody, JsonBody, ResponseDefinition, RouteDefinition } from "../../models/contract/api/define.ts";

/** True when the route left the part out, so that its type is the bound itself. */
type IsBound<T> = z.ZodObject extends T ? true : false;

type ParamsOf<R extends RouteDefinition> = Exclude<R["params"], undefined>;
type QueryOf<R extends RouteDefinition> = Exclude<R["query"], undefined>;

/** Members of a schema's output, optional where the schema fills them in. Coerced members lose `unknown` this way. */
type Given<S extends z.ZodType> = {
  readonly [K in keyof z.input<S>]: K extends keyof z.output<S> ? z.output<S>[K] : z.input<S>[K];
};

type ParamsPart<R extends RouteDefinition> =
  IsBound<ParamsOf<R>> extends true ? { readonly params?: undefined } : { readonly params: Given<ParamsOf<R>> };

type QueryPart<R extends RouteDefinition> =
  IsBound<QueryOf<R>> extends true
    ? { readonly query?: undefined }
    : Partial<Given<QueryOf<R>>> extends Given<QueryOf<R>>
      ? { readonly query?: Given<QueryOf<R>> }
      : { readonly query: Given<QueryOf<R>> };

type BodyPart<R extends RouteDefinition> = [R["body"]] extends [undefined]
  ? { readonly body?: undefined }
  : Exclude<R["body"], undefined> extends JsonBody<infer S>
    ? { readonly body: z.input<S> }
    : Exclude<R["body"], undefined> extends BytesBody
      ? { readonly body: Uint8Array }
      : { readonly body?: unknown };

/** What a call of route `R` needs: exactly its path parameters, query and body. */
export type ApiRequest<R extends RouteDefinition> = ParamsPart<R> & QueryPart<R> & BodyPart<R> & ApiCallOptions;

export interface ApiCallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Milliseconds for this call, instead of the client's own limit. */
  readonly timeoutMs?: number;
}

type BodyOf<D extends ResponseDefinition> = D extends { readonly schema: infer S extends z.ZodType }
  ? z.output<S>
  : D extends { readonly contentType: `text/${string}` }
    ? string
    : Uint8Array;

/** One of the answers that route `R` describes, told apart by `status`. */
export type ApiResponse<R extends RouteDefinition> = {
  [S in keyof R["responses"] & number]: {
    readonly status: S;
    readonly headers: Headers;
    readonly body: BodyOf<R["responses"][S]>;
  };
}[keyof R["responses"] & number];

/** The arguments after the route: none are needed when the route has no required part. */
export type ApiArguments<R extends RouteDefinition> =
  Partial<ApiRequest<R>> extends ApiRequest<R> ? [request?: ApiRequest<R>] : [request: ApiRequest<R>];
