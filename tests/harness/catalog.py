"""A small catalogue that tests know by heart, made at the offline Stripe and mirrored by its webhooks."""

MONTHLY = {"recurring[interval]": "month"}
YEARLY = {"recurring[interval]": "year"}


def stock(world) -> dict[str, str]:
    """Make the catalogue and wait until the mirror has it; the ids of its products and prices by short names."""

    def product(**form):
        return world.stripe("POST", "/v1/products", **form)["id"]

    def price(product_id, amount, currency="usd", **form):
        amount = {} if amount is None else {"unit_amount": amount}
        return world.stripe("POST", "/v1/prices", product=product_id, currency=currency, **amount, **form)["id"]

    pro = product(
        name="Pro",
        description="For people",
        **{"metadata[sort_order]": -2, "marketing_features[0][name]": "Everything"},
    )
    team = product(name="Team", unit_label="seat", **{"metadata[sort_order]": -3})
    gone = product(name="Gone")
    empty = product(name="Nothing to buy")
    ids = {
        "pro": pro,
        "team": team,
        "gone": gone,
        "empty": empty,
        "pro_year": price(pro, 20000, **YEARLY, **{"currency_options[eur][unit_amount]": 19000}),
        "pro_month": price(
            pro,
            2000,
            lookup_key="stock_pro",
            nickname="Pro monthly",
            **MONTHLY,
            **{"currency_options[eur][unit_amount]": 1900, "currency_options[jpy][unit_amount]": 3000},
        ),
        "team_month": price(team, 1000, **MONTHLY, **{"recurring[trial_period_days]": 14}),
        "team_dinar": price(team, 1500, "kwd"),
        "setup": price(team, 500),
        "inactive": price(team, 501, **MONTHLY),
        "gone_month": price(gone, 900, **MONTHLY),
        "tiered": price(
            team,
            None,
            billing_scheme="tiered",
            tiers_mode="volume",
            **YEARLY,
            **{
                "tiers[0][up_to]": 10,
                "tiers[0][unit_amount]": 700,
                "tiers[1][up_to]": "inf",
                "tiers[1][unit_amount_decimal]": "0.5",
                "tiers[1][flat_amount]": 100,
            },
        ),
    }
    world.stripe("POST", f"/v1/prices/{ids['inactive']}", active="false")
    world.stripe("POST", f"/v1/products/{gone}", active="false")
    states = "{ p: plan(id: %s) { active } g: product(id: %s) { active } t: plan(id: %s) { id } }"
    query = states.replace("%s", '"%s"') % (ids["inactive"], gone, ids["tiered"])
    world.eventually(
        lambda: world.data(query), {"p": {"active": False}, "g": {"active": False}, "t": {"id": ids["tiered"]}}
    )
    return ids
