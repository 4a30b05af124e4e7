// Takes orders through their life with the client that openapi-generator generates (typescript-fetch).

import assert from "node:assert";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import { Configuration, InitialStatus, OperationApi, OrdersApi, ResponseError, Status } from "./generated/fetch";

const configuration = new Configuration({ basePath: process.env.ORDERS_URL });
const orders = new OrdersApi(configuration);
const operation = new OperationApi(configuration);
const deadline = Date.now() + 60_000;

async function life(totalAmount: string) {
  const request = {
    idempotencyKey: randomUUID(),
    orderDraft: { userId: "645", itemIds: ["890", "563"], totalAmount },
  };
  const { orderId } = await orders.createOrder(request);
  assert.equal((await orders.createOrder(request)).orderId, orderId);

  while ((await orders.getOrderStatus({ orderId })).status !== Status.Completed) {
    assert(Date.now() < deadline, "the order is not completed within a minute");
    await setTimeout(50);
  }

  const order = await orders.getOrder({ orderId });
  assert.equal(order.totalAmount, totalAmount);
  assert.deepEqual([order.userId, order.itemIds], ["645", ["890", "563"]]);
  assert(order.completedAt! > order.createdAt);

  assert.deepEqual(await orders.listOrderIds({ limit: 1 }), [{ orderId }]);
  assert((await operation.getMetrics()).statusCounts.completed > 0);
}

async function transitions() {
  const orderDraft = { userId: "645", itemIds: ["890"], totalAmount: "9.90", status: InitialStatus.Processing };
  const { orderId } = await orders.createOrder({ orderDraft });
  await assert.rejects(
    orders.completeOrder({ orderId, orderTransition: { version: 2 } }),
    (error) => error instanceof ResponseError && error.response.status === 409,
  );
  const failed = await orders.failOrder({ orderId, orderFailure: { reason: "out of stock", version: 2 } });
  assert.equal(failed.status, Status.Failed);
  assert.equal((await orders.retryOrder({ orderId, orderRetry: { version: 3 } })).status, Status.Pending);
  assert.equal((await orders.cancelOrder({ orderId, orderTransition: { reason: "changed my mind" } })).status, Status.Cancelled);
  const order = await orders.getOrder({ orderId });
  assert.equal(order.reason, "changed my mind");
  assert(order.cancelledAt && order.history.length >= 4);
}

async function main() {
  for (const amount of ["1650.78", "99999999.99", "0.01"]) await life(amount);
  await transitions();
}

void main();
