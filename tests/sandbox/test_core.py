def test_a_product_comes_back_as_it_was_made(stripe_client):
    made = stripe_client.v1.products.create({"name": "Team", "metadata": {"a": "b"}})
    again = stripe_client.v1.products.retrieve(made.id)
    assert again.to_dict() == made.to_dict()
    price = stripe_client.v1.prices.create(
        {
            "product": made.id,
            "currency": "eur",
            "unit_amount": 5,
            "recurring": {"interval": "month"},
            "currency_options": {"jpy": {"unit_amount": 500}},
            "expand": ["currency_options", "product"],
        }
    )
    assert price.product.name == "Team"
    assert price.currency_options["jpy"].unit_amount == 500
    stripe_client.v1.customers.create({"email": "a@b.c"})
    stripe_client.v1.plans.create({"currency": "usd", "interval": "month", "amount": 7, "product": {"name": "X"}})
    print([p.id for p in stripe_client.v1.products.list({"limit": 1}).auto_paging_iter()])
    print([p.type for p in stripe_client.v1.events.list().auto_paging_iter()])
