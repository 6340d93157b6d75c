import type * as z from "zod";
import type { Role } from "../auth.ts";
import type { ErrorCode } from "../errors.ts";

export type HttpMethod = "get" | "post" | "put" | "delete";

/** Headers that every decision answers with, documented once. */
export const MODEL_VERSION_HEADER = "X-Model-Version";

export interface JsonBody<S extends z.ZodType = z.ZodType> {
  readonly kind: "json";
  readonly schema: S;
  /** `each`: the handler validates item by item, so that one bad item does not refuse the others. */
  readonly validation: "whole" | "each";
  readonly contentTypes: readonly string[];
  readonly maxBytes: number;
  /** For people, by name: bodies that the route accepts. */
  readonly examples?: Examples;
}

/** Values of a schema by name, as the document shows them. */
export type Examples = Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>;

export interface BytesBody {
  readonly kind: "bytes";
  readonly contentTypes: readonly string[];
  readonly maxBytes: number;
}

export interface ResponseDefinition {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly examples?: Examples;
}

/** Every success answer of an operation, by status. */
export type Responses = Readonly<Record<number, ResponseDefinition>>;

/**
 * One operation of the HTTP API as plain data: routing, authorisation, validation, the OpenAPI document and typed clients
 * are all derived from it. Every route may also answer with the problem documents in `errors`.
 */
export interface RouteDefinition<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends JsonBody | BytesBody | undefined = JsonBody | BytesBody | undefined,
  R extends Responses = Responses,
> {
  readonly operationId: string;
  readonly method: HttpMethod;
  /** OpenAPI path template: `/api/v1/models/{name}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** `open` needs no credentials; otherwise any one of the roles (or admin). */
  readonly access: "open" | readonly Role[];
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly responses: R;
  readonly errors: readonly ErrorCode[];
}

export function defineRoute<
  P extends z.ZodObject = z.ZodObject,
  Q extends z.ZodObject = z.ZodObject,
  B extends JsonBody | BytesBody | undefined = undefined,
  const R extends Responses = Responses,
>(definition: RouteDefinition<P, Q, B, R>): RouteDefinition<P, Q, B, R> {
  return definition;
}

export function jsonBody<S extends z.ZodType>(
  schema: S,
  options: { maxBytes: number; validation?: "whole" | "each"; contentTypes?: readonly string[]; examples?: Examples },
): JsonBody<S> {
  return {
    kind: "json",
    schema,
    validation: options.validation ?? "whole",
    contentTypes: options.contentTypes ?? ["application/json"],
    maxBytes: options.maxBytes,
    ...(options.examples && { examples: options.examples }),
  };
}
