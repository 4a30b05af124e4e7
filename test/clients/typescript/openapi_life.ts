// Takes orders through their life with the types that openapi-typescript generates, and openapi-fetch.

import assert from "node:assert";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";

import type { paths } from "./generated/openapi";

const client = createClient<paths>({ baseUrl: process.env.ORDERS_URL });
const deadline = Date.now() + 60_000;

async function life(total_amount: string) {
  const request = {
    params: { header: { "Idempotency-Key": randomUUID() } },
    body: { user_id: "645", item_ids: ["890", "563"], total_amount },
  };
  const { data: created } = await client.POST("/api/orders/create/", request);
  assert(created);
  const { data: again } = await client.POST("/api/orders/create/", request);
  assert.deepEqual(again, created);

  const path = { params: { path: { order_id: created.order_id } } };
  for (;;) {
    const { data } = await client.GET("/api/orders/{order_id}/status/", path);
    if (data?.status === "Completed") break;
    assert(data && Date.now() < deadline, "the order is not completed within a minute");
    await setTimeout(50);
  }

  const { data: order } = await client.GET("/api/orders/{order_id}/", path);
  assert(order?.completed_at && order.completed_at > order.created_at);
  assert.equal(order.total_amount, total_amount);
  assert.deepEqual([order.user_id, order.item_ids], ["645", ["890", "563"]]);

  const { data: ids } = await client.GET("/api/orders/ids/", { params: { query: { limit: 1 } } });
  assert.deepEqual(ids, [{ order_id: created.order_id }]);
  const { data: metrics } = await client.GET("/api/metrics/");
  assert(metrics && metrics.status_counts.Completed > 0);
}

async function transitions() {
  const body = { user_id: "645", item_ids: ["890"], total_amount: "9.90", status: "Processing" as const };
  const { data: created } = await client.POST("/api/orders/create/", { body });
  assert(created);
  const params = { path: { order_id: created.order_id } };
  const early = await client.POST("/api/orders/{order_id}/complete/", { params, body: { version: 2 } });
  assert.equal(early.error?.order_status, "Processing");
  const failed = await client.POST("/api/orders/{order_id}/fail/", { params, body: { reason: "out of stock", version: 2 } });
  assert.equal(failed.data?.status, "Failed");
  const retried = await client.POST("/api/orders/{order_id}/retry/", { params, body: { version: 3 } });
  assert.equal(retried.data?.status, "Pending");
  const cancelled = await client.POST("/api/orders/{order_id}/cancel/", { params });
  assert.equal(cancelled.data?.status, "Cancelled");
}

async function main() {
  for (const amount of ["1650.78", "99999999.99", "0.01"]) await life(amount);
  await transitions();
}

void main();
