import * as z from "zod";
import { Id, Money, Timestamp } from "../primitives.ts";
import { defineEvent } from "./define.ts";

export const CATALOG_EVENTS = {
  "catalog.product.updated.v1": defineEvent({
    direction: "in",
    description: "A product was created, changed or withdrawn. Carries the whole product.",
    dataSensitivity: "public",
    retentionPolicy: "400-days",
    data: z
      .strictObject({
        productId: Id,
        title: z.string().min(1).max(300),
        description: z.string().max(8_000).optional(),
        brand: z.string().min(1).max(100).optional(),
        categories: z
          .array(z.string().min(1).max(64))
          .max(16)
          .meta({ description: "From the widest to the narrowest" }),
        price: Money.optional(),
        status: z.enum(["active", "withdrawn"]),
        attributes: z.record(z.string().max(64), z.union([z.string().max(256), z.number(), z.boolean()])).optional(),
        publishedAt: Timestamp.optional(),
      })
      .meta({ id: "CatalogProductUpdated" }),
  }),
  "pricing.updated.v1": defineEvent({
    direction: "in",
    description: "The price of a product changed.",
    dataSensitivity: "public",
    retentionPolicy: "400-days",
    data: z
      .strictObject({ productId: Id, price: Money, previousPrice: Money.optional(), validFrom: Timestamp.optional() })
      .meta({ id: "PricingUpdated" }),
  }),
  "inventory.stock.changed.v1": defineEvent({
    direction: "in",
    description: "The stock of a product at a location changed.",
    dataSensitivity: "internal",
    retentionPolicy: "90-days",
    data: z
      .strictObject({ productId: Id, locationId: Id.optional(), available: z.int().min(0).max(1_000_000_000) })
      .meta({ id: "InventoryStockChanged" }),
  }),
  "telemetry.reading.v1": defineEvent({
    direction: "in",
    description: "One reading of one sensor, with one or several channels.",
    dataSensitivity: "internal",
    retentionPolicy: "90-days",
    data: z
      .strictObject({
        sensorId: Id,
        readings: z.record(z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/), z.number()).meta({
          description: "Channel name to value; at most 64 channels",
        }),
        sequence: z.int().min(0).optional(),
      })
      .refine((value) => Object.keys(value.readings).length <= 64, "at most 64 channels")
      .meta({ id: "TelemetryReading" }),
  }),
} as const;
