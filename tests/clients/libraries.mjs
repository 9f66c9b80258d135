// Sends the same events through one of the official Node libraries: node libraries.mjs LIBRARY URL KEY
import { createRequire } from "node:module";

const [library, url, key, folder] = process.argv.slice(2);
const require = createRequire(folder + "/");
const order = {
  order_id: "O-77",
  currency: "CNY",
  total: 59.7,
  products: [{ sku: "tea", price: 19.9, quantity: 3 }],
};
const campaign = { campaign: { source: "wechat" } };

async function segment() {
  const { Analytics } = require("@segment/analytics-node");
  const client = new Analytics({ writeKey: key, host: url, maxRetries: 0 });
  client.on("error", fail);
  await send(client, "Segment");
  await client.closeAndFlush();
}

async function rudderstack() {
  const found = require("@rudderstack/rudder-sdk-node");
  const RudderAnalytics = found.default ?? found;
  const client = new RudderAnalytics(key, { dataPlaneUrl: url, flushAt: 1 });
  await send(client);
  await new Promise((resolve) => client.flush(resolve));
}

async function send(client) {
  const userId = "anna-7";
  client.identify({ userId, traits: { email: "anna@example.com", firstName: "Anna" } });
  client.track({ userId, event: "Product Viewed", properties: { product_id: "tea", price: 19.9, currency: "CNY" } });
  client.track({ userId, event: "Order Completed", properties: order, context: campaign });
  client.page({ userId, name: "Home", properties: { url: "https://example.com/" } });
  client.screen({ userId, name: "Cart", properties: {} });
  client.group({ userId, groupId: "tea-club", traits: { name: "Tea club" } });
  client.alias({ userId, previousId: "a-77" });
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

await { segment, rudderstack }[library]();
setTimeout(() => process.exit(0), 1000);
