// Medusa's promotion module on the carts of the race: its own computeActions, with the promotions preloaded, so that no
// database is asked. Reads {promotions, carts, rounds} from standard input, prints {version, off_minor, cpu_ms}.
const { createRequire } = require("node:module");
const installed = createRequire(process.argv[2] + "/package.json");
const Service = installed("@medusajs/promotion/dist/services/promotion-module.js").default;

const promotionOf = ({ code, percent, skus }) => ({
  id: code, code, type: "standard", status: "active", is_automatic: true, is_tax_inclusive: false,
  limit: null, used: 0, campaign: null, rules: [],
  application_method: {
    id: `method-${code}`, type: "percentage", target_type: "items", allocation: "each", value: percent,
    max_quantity: 1000000, currency_code: "usd", apply_to_quantity: null, buy_rules_min_quantity: null, buy_rules: [],
    target_rules: [{ id: `rule-${code}`, attribute: "items.product.id", operator: "in",
                     values: skus.map((value) => ({ value })) }],
  },
});

const contextOf = (lines) => ({
  currency_code: "usd", shipping_methods: [],
  items: lines.map(({ line_id, sku, quantity, amount_minor }) => ({
    id: line_id, quantity, subtotal: amount_minor / 100, original_total: amount_minor / 100, is_discountable: true,
    product: { id: sku },
  })),
});

async function main() {
  const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const promotions = given.promotions.map(promotionOf);
  const service = Object.create(Service.prototype);
  service.listActivePromotions_ = async () => promotions;
  service.promotionService_ = { list: async () => promotions };
  const knex = { raw: async () => ({ rows: [{ attribute: "items.product.id" }] }) };
  const manager = { getKnex: () => knex };
  const shared = { manager, transactionManager: manager, __type: "MedusaContext" };
  const contexts = given.carts.map(contextOf);
  const compute = (context) => service.computeActions([], context, {}, shared);
  const off = [];
  for (const context of contexts) {
    const actions = await compute(context);
    off.push(actions.reduce((sum, one) => sum + Math.round(Number(one.amount) * 100), 0));
  }
  const before = process.cpuUsage();
  for (let round = 0; round < given.rounds; round++) for (const context of contexts) await compute(context);
  const used = process.cpuUsage(before);
  const cpu_ms = (used.user + used.system) / 1000 / (given.rounds * contexts.length);
  console.log(JSON.stringify({ version: installed("@medusajs/promotion/package.json").version, off_minor: off, cpu_ms }));
}

main().catch((error) => { console.error(error); process.exit(1); });
