"""django-oscar's offers on the carts of the race, over SQLite in memory (kinder to it than a database server).

Reads {promotions, carts} from standard input, prints {version, off_minor, cpu_ms, queries}.
"""

import json
import sys
import time
from decimal import Decimal

import django
from django.conf import settings


def configure() -> None:
    """Set Django up as oscar's documentation asks, with one database in memory."""
    from oscar import INSTALLED_APPS
    from oscar import defaults as oscar_defaults

    chosen = {name: getattr(oscar_defaults, name) for name in dir(oscar_defaults) if name.startswith("OSCAR_")}
    settings.configure(
        SECRET_KEY="race",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[*INSTALLED_APPS],
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        SITE_ID=1,
        USE_TZ=True,
        **chosen,
    )
    django.setup()


def main() -> None:
    """Build shop, offers and baskets, then apply the offers to each basket."""
    configure()
    from django.core.management import call_command
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    call_command("migrate", verbosity=0)
    from oscar.core.loading import get_class, get_model

    given = json.load(sys.stdin)
    prices = {line["sku"]: line["unit_price_minor"] for cart in given["carts"] for line in cart}
    wanted = set(prices) | {sku for promotion in given["promotions"] for sku in promotion["skus"]}
    product_class = get_model("catalogue", "ProductClass").objects.create(
        name="goods", requires_shipping=False, track_stock=False
    )
    partner = get_model("partner", "Partner").objects.create(name="shop")
    product, stock_record = get_model("catalogue", "Product"), get_model("partner", "StockRecord")
    made = {sku: product.objects.create(title=sku, upc=sku, product_class=product_class) for sku in sorted(wanted)}
    stock_record.objects.bulk_create(
        stock_record(
            product=made[sku], partner=partner, partner_sku=sku, price=Decimal(price) / 100, price_currency="USD"
        )
        for sku, price in prices.items()
    )
    offers(given["promotions"], made)
    strategy = get_class("partner.strategy", "Selector")().strategy()
    applicator = get_class("offer.applicator", "Applicator")()
    off, cpu, queries = [], 0.0, 0
    for cart in given["carts"]:
        basket = get_model("basket", "Basket").objects.create()
        basket.strategy = strategy
        for line in cart:
            basket.add_product(made[line["sku"]], line["quantity"])
        basket.reset_offer_applications()
        before = time.process_time()
        applicator.apply(basket)
        cpu += time.process_time() - before
        off.append(int(basket.total_discount * 100))
        basket.reset_offer_applications()
        reset_queries()
        with CaptureQueriesContext(connection) as captured:
            applicator.apply(basket)
        queries += len(captured)
    from oscar import get_version

    count = len(given["carts"])
    print(
        json.dumps(
            {"version": get_version(), "off_minor": off, "cpu_ms": 1000 * cpu / count, "queries": queries / count}
        )
    )


def offers(promotions, made) -> None:
    """Make one site offer a promotion: a range of products, any one of them, a percentage off."""
    from oscar.core.loading import get_model

    range_, condition = get_model("offer", "Range"), get_model("offer", "Condition")
    benefit, offer = get_model("offer", "Benefit"), get_model("offer", "ConditionalOffer")
    for promotion in promotions:
        products = range_.objects.create(name=promotion["code"], includes_all_products=False)
        for sku in promotion["skus"]:
            products.add_product(made[sku])
        offer.objects.create(
            name=promotion["code"],
            offer_type=offer.SITE,
            exclusive=False,
            condition=condition.objects.create(range=products, type=condition.COUNT, value=1),
            benefit=benefit.objects.create(range=products, type=benefit.PERCENTAGE, value=promotion["percent"]),
        )


if __name__ == "__main__":
    main()
