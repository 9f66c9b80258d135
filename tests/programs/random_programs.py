"""Random programmes and carts, small and crowded, so that rules meet. Everything comes from one seed."""

from datetime import timedelta

from tests.programs.judges import ANNA, NOON, ask, coupon, line, member, program
from tests.programs.random_conditions import SKUS, TEMPLATES, TIERS, Conditions

from changke.modules.programs.terms_evaluation import CounterKey, PayWithPoints

CATEGORIES = {
    "milk": ("food", "dairy"),
    "butter": ("food", "dairy"),
    "bread": ("food",),
    "coat": ("clothes",),
    "card": ("gift_cards",),
}
LANES = (
    {"code": "price", "kind": "price"},
    {"code": "best", "kind": "price", "mode": "best_for_member"},
    {"code": "reduction", "kind": "reduction"},
    {"code": "coupon", "kind": "coupon"},
    {"code": "points", "kind": "points"},
    {"code": "shipping", "kind": "shipping"},
    {"code": "earn", "kind": "earn"},
)
STANDARD = {
    "price": "activity",
    "best": "member_price",
    "reduction": "full_reduction",
    "coupon": "coupon",
    "shipping": "shipping",
}


THEMES = {
    "mixed": ["price", "price", "best", "reduction", "coupon", "coupon", "shipping", "earn", "earn"],
    "price": ["price", "price", "best", "reduction"],
    "best": ["best", "best", "best", "reduction"],
    "coupons": ["coupon", "coupon", "coupon", "price"],
    "earn": ["earn", "earn", "earn", "earn", "coupon"],
}


class Maker(Conditions):
    """Makes programmes and requests from a source of luck."""

    def __init__(self, luck):
        super().__init__(luck)
        self.standard = luck.random() < 0.3
        self.theme = luck.choice(["mixed", "mixed", *THEMES])
        self.currency = luck.choice(["CNY", "CNY", "CNY", "JPY", "KWD"])
        self.grouped = luck.random() < 0.3

    # programmes ------------------------------------------------------------------------------------------------

    def program(self):
        luck = self.luck
        rules = [self.rule(index) for index in range(luck.randint(1, 7))]
        campaign = {"limits": [self.limit(luck.choice(["discount", "uses", "points"]))]} if self.chance(0.2) else {}
        campaign |= {"audience": self.audience()} if self.chance(0.1) else {}
        fields = {"campaign": campaign}
        if not self.standard:
            fields["lanes"] = [self.lane(lane) for lane in LANES]
        if self.chance(0.3):
            fields["caps"] = [self.cap()]
        fields["earn"] = {
            "on": luck.choice(["net", "net", "gross"]),
            "shipping": self.chance(0.2),
            "rounding": luck.choice(["floor", "floor", "half_up"]),
            "multipliers": luck.choice(["multiply", "add", "highest"]),
        }
        tender = {"cap_percent": luck.choice([100, 50, 33]), "multiple": luck.choice([1, 10])}
        tender |= {"minimum": luck.choice([0, 0, 100]), "points_per_unit": luck.choice([100, 100, 150, 30])}
        fields["points_tender"] = None if self.chance(0.1) else tender
        return program(*rules, currency=self.currency, sets={"dairy_skus": ["milk", "butter"]}, **fields)

    def lane(self, lane):
        if lane["code"] == "price":
            more = {"mode": self.luck.choice(["stackable", "stackable", "first"])}
            if self.grouped:
                more["groups"] = [{"code": "g", "mode": "first", "priority": 1}, {"code": "h", "mode": "stackable"}]
            more["exclusive_max"] = self.luck.choice([1, 2])
            if self.chance(0.15):
                more["reads"] = "initial"
            if self.chance(0.3):
                more["excludes"] = self.luck.choice([["reduction"], ["coupon"], ["reduction", "coupon"], ["earn"]])
            return lane | more
        if lane["code"] in ("reduction", "coupon", "shipping"):
            mode = self.luck.choice(["stackable", "stackable", "stackable", "first", "best_for_member"])
            return lane | {"mode": mode, "reads": self.luck.choice(["discounted", "discounted", "initial"])}
        return lane

    def cap(self):
        bound = self.luck.choice([{"percent": 30}, {"amount_minor": 500}, {"percent": 50, "amount_minor": 3000}])
        scope = self.luck.choice(["line", "order", "category", "lane"])
        more = {"category": {"category": "dairy"}, "lane": {"lane": STANDARD["coupon"]}}.get(scope, {})
        return {"code": "cap", "scope": scope} | bound | more

    def limit(self, of):
        luck = self.luck
        most = {"discount": (100, 3000), "uses": (1, 3), "points": (1, 80), "quantity": (500, 4000)}[of]
        window = luck.choice(["order", "day", "week", "month", "quarter", "year", "ever"])
        per = luck.choice(["member", "program", "store"])
        return {"of": of, "max": luck.randint(*most), "window": window, "per": per}

    def rule(self, index):
        luck = self.luck
        lane = luck.choice(THEMES[self.theme])
        rule = {"code": f"r{index}", "priority": luck.choice([0, 0, 1, 2])}
        rule |= getattr(self, f"in_{lane}")()
        rule["stacking"] = luck.choice(["common", "common", "common", "never", "always"])
        if lane == "earn":
            rule["stacking"] = luck.choice(["common", "common", "common", "common", "common", "never", "always"])
        else:
            rule["lane"] = STANDARD[lane] if self.standard else lane
            if lane == "price" and self.grouped and not self.standard:
                rule["group"] = luck.choice([None, "g", "h"])
        if self.chance(0.4):
            rule["when"] = self.condition(2)
        if self.chance(0.15):
            rule["schedule"] = self.schedule()
        if self.chance(0.15):
            rule["audience"] = self.audience()
        if self.chance(0.25):
            kinds = {effect["kind"] for effect in rule["effects"]}
            bounded = (
                ["points", "uses"][{"multiply", "credit"} <= kinds :]
                if lane == "earn"
                else ["discount", "uses", "quantity"]
            )
            rule["limits"] = [self.limit(luck.choice(bounded))]
        if self.chance(0.1) and lane in ("reduction", "coupon"):
            rule["reads"] = luck.choice(["initial", "discounted"])
        return rule

    def in_price(self):
        return {"effects": [self.price_effect() for _ in range(self.luck.choice([1, 1, 1, 2]))]}

    def in_best(self):
        return {"effects": [self.line_effect()]}

    def in_reduction(self):
        luck = self.luck
        step = {"from_minor": luck.randint(500, 6000)}
        step |= {"off_minor": luck.randint(1, 1500)} if self.chance(0.7) else {"percent": luck.randint(1, 40)}
        steps = [step]
        if self.chance(0.4):
            steps.append({"from_minor": step["from_minor"] + 1000, "off_minor": luck.randint(500, 2500)})
        repeat = len(steps) == 1 and "off_minor" in step and self.chance(0.5)
        return {"effects": [{"kind": "reduction", "steps": steps, "on": self.on(), "repeat": repeat}]}

    def in_coupon(self):
        template = self.luck.choice(TEMPLATES)
        if template == "shipping":
            return {"coupon": template, "effects": [self.shipping_off()]}
        effects = {
            "ten": {"kind": "amount_off", "off_minor": 1000, "on": self.on()},
            "tenth": {"kind": "percent_off", "percent": 10},
            "milk": {"kind": "percent_off", "percent": 50, "on": {"fact": "line.sku", "is": "milk"}, "max_minor": 700},
        }
        return {"coupon": template, "effects": [effects[template]]}

    def in_shipping(self):
        return {"effects": [self.shipping_off()]}

    def in_earn(self):
        luck, earn = self.luck, []
        for _ in range(luck.choice([1, 1, 2])):
            kind = luck.choice(["rate", "rate", "fixed", "multiply", "due"])
            if kind == "rate":
                earn.append(self.credit(points_per_unit=luck.choice(["1", "0.5", "1.37", "3"]), on=self.on()))
            elif kind == "fixed":
                earn.append(self.credit(points=luck.randint(1, 60)))
            elif kind == "multiply":
                on = self.on() if self.chance(0.5) else None
                earn.append({"kind": "multiply", "factor": luck.choice(["2", "1.2", "0.5"]), "on": on})
            else:
                earn.append({"kind": "issue_coupon", "template": "ten", "quantity": luck.randint(1, 3)})
        return {"effects": earn, "trigger": {"kind": luck.choice(["order", "order", "cart"])}}

    def credit(self, **fields):
        return {"kind": "credit", "wallet": self.luck.choice(["points", "points", "points", "stars"])} | fields

    def shipping_off(self):
        return {"kind": "shipping_off"} | self.luck.choice([{}, {"off_minor": 300}, {"percent": 50}])

    def line_effect(self):
        luck = self.luck
        return {"on": self.on()} | luck.choice(
            [
                {"kind": "percent_off", "percent": luck.choice(["5", "12.5", "33.3", "50"])},
                {"kind": "amount_off", "off_minor": luck.randint(1, 800), "each": luck.choice(["line", "unit"])},
                {"kind": "fixed_price", "price_minor": luck.randint(1, 2000)},
            ]
        )

    def price_effect(self):
        luck = self.luck
        if self.standard or self.chance(0.5):
            return self.line_effect()
        return luck.choice(
            [
                {"kind": "percent_off", "percent": 20, "max_minor": luck.randint(1, 500), "on": self.on()},
                {"kind": "amount_off", "off_minor": luck.randint(1, 2000), "on": self.on()},
                {"kind": "nth_item", "nth": luck.randint(2, 3), "percent": luck.choice([50, 100]), "on": self.on()},
                {"kind": "bundle", "parts": [{"quantity": 2, "on": self.on()}], "price_minor": luck.randint(500, 2500)},
                {"kind": "bundle", "percent": 25, "times_max": 1,
                 "parts": [{"quantity": 1, "on": {"fact": "line.sku", "is": sku}} for sku in luck.sample(SKUS, 2)]},
                {"kind": "gift", "sku": "mug", "quantity": luck.randint(1, 2), "cost_minor": 300},
                {"kind": "fixed_price", "price_minor": luck.randint(1, 900), "units_max": luck.randint(1, 3)},
            ]
        )  # fmt: skip

    def schedule(self):
        luck = self.luck
        return luck.choice(
            [
                {"weekdays": luck.sample(["mon", "tue", "sat", "sun"], 2)},
                {"dayparts": [{"since": "22:00", "until": "02:00"}]},
                {"dayparts": [{"since": "11:00", "until": "13:00"}]},
                {"days_of_month": [-1, 2]},
                {"starts_at": "2026-03-02T12:00:00", "ends_at": "2026-03-03T00:00:00"},
                {"dates": ["2026-03-02"]},
                {"except_dates": ["2026-03-02"]},
            ]
        )

    def audience(self):
        return self.luck.choice(
            [{"members_only": True}, {"tiers": ["gold"]}, {"tags_any": ["vip"]}, {"tags_none": ["vip"]},
             {"experiment": "e", "arm": "a"}, {"segments": ["new"]}]
        )  # fmt: skip

    # requests --------------------------------------------------------------------------------------------------

    def request(self):
        luck = self.luck
        lines = [self.line(index) for index in range(luck.randint(1, 5))]
        at = NOON + luck.choice([timedelta(0), timedelta(days=5), timedelta(hours=11), timedelta(days=29, hours=13)])
        counted = at + luck.choice([timedelta(0), timedelta(0), timedelta(days=9)])
        templates = luck.choices(TEMPLATES, k=luck.choice([0, 1, 2, 3]))
        coupons = tuple(
            coupon(f"C{index}", template, refusal_code="coupon_used" if self.chance(0.1) else None)
            for index, template in enumerate(templates)
        )
        known = self.member() if self.chance(0.85) else None
        pay = None
        if self.chance(0.4):
            pay = PayWithPoints(luck.choice([None, 300, 2500]), luck.choice([None, 1000]))
        where = {
            "store": "s1",
            "channel": luck.choice(["pos", "web"]),
            "context": {"weather": luck.choice(["sun", "rain", "rain", 3, True])},
        }
        return ask(
            *lines,
            at=at,
            shipping=luck.choice([0, 600, 1000]),
            situation=where,
            coupons=coupons,
            member=known,
            points=pay,
            tax_included=self.chance(0.5),
            used=self.used(counted),
            counted_at=None if counted == at else counted,
            trigger="order" if self.chance(0.1) else "cart",
            currency=self.currency,
        )

    def line(self, index):
        luck = self.luck
        sku = luck.choice(SKUS)
        quantity = luck.choice([1, 1, 2, 3, 0.735])
        card = sku == "card"
        return line(
            sku,
            luck.choice([1, 99, 333, 1000, 1999, 4500]),
            quantity,
            line_id=f"l{index}",
            category=CATEGORIES[sku],
            brand=luck.choice([None, "mengniu", "other"]),
            tags=luck.choice([(), ("cold",)]),
            attributes=luck.choice([{}, {"organic": True}, {"organic": "yes"}]),
            discountable=not card,
            earns=not card,
            tax_basis_points=luck.choice([0, 1300]),
        )

    def member(self):
        luck = self.luck
        facts = member(
            tags=frozenset(luck.sample(["vip", "old"], luck.randint(0, 2))),
            segments=frozenset({"new"} if self.chance(0.5) else ()),
            wallet_points=luck.choice([0, 95, 1234, 9000]),
        )
        if self.chance(0.7):
            facts.values["member.tier"] = luck.choice(TIERS)
        facts.values["member.arm.e"] = luck.choice(["a", "b"])
        facts.values["history.orders"] = luck.randint(0, 6)
        return facts

    def used(self, at):
        """Return some counts for limits that may be there."""
        found = {}
        for name in [f"c/r{index}/0" for index in range(4)] + ["c//0"]:
            for scope in (ANNA.hex, "", "s1"):
                window = self.luck.choice(["", f"{at:%Y-%m-%d}", f"{at:%Y-%m}", "2026-W10", "2026", "2026-Q1"])
                if self.chance(0.4):
                    found[CounterKey(name, scope, window)] = self.luck.choice([1, 30, 450])
        return found
