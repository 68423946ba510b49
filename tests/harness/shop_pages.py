"""What a customer does on the demo shop's pages and on Stripe's: steps of the browser tests."""

from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, Page, expect

GOOD_CARD, FAILS_WHEN_CHARGED, ALWAYS_ASKS = "4242424242424242", "4000000000000341", "4000002760003184"


async def sign_in(page: Page, gateway_dev, email: str) -> None:
    """Become one of the sample users."""
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
    await page.get_by_test_id(f"sign-in-{email}").click()
    await expect(page.get_by_test_id("who")).to_contain_text(email)


async def pay_form(page: Page, number: str) -> None:
    """Fill in a card on one of Stripe's pages."""
    fields = {"card_number": number, "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}
    for field, value in fields.items():
        await page.locator(f"input[name={field}]").fill(value)


def offer(page: Page, name: str, card: str = "plan-card") -> Locator:
    """The card of something that the shop sells."""
    return page.get_by_test_id(card).filter(has=page.get_by_role("heading", name=name, exact=True))


async def buy(
    page: Page,
    gateway_dev,
    name: str,
    *,
    card: str = "plan-card",
    seats: int | None = None,
    on_the_way: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Choose something in the shop and pay for it on the hosted page.

    Args:
        page: where.
        gateway_dev: the world.
        name: the heading of its card.
        card: `plan-card` or `product-card`.
        seats: how many, where it is sold by the unit.
        on_the_way: what to do on the hosted page before it is paid.
    """
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    chosen = offer(page, name, card)
    if seats is not None:
        await chosen.get_by_test_id("quantity").fill(str(seats))
    await chosen.get_by_test_id("buy").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    if on_the_way:
        await on_the_way()
    await pay_form(page, GOOD_CARD)
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("confirmation")).to_be_visible()


async def choose(page: Page, plan: str, *, seats: int | None = None) -> str:
    """Choose a plan to change to on the account page; what Stripe says is due now."""
    await page.get_by_test_id("change").click()
    options = page.get_by_test_id("new-plan").locator("option")
    await expect(options).not_to_have_count(0)
    (label,) = [text for text in await options.all_inner_texts() if text.startswith(plan)]
    await page.get_by_test_id("new-plan").select_option(label)
    if seats is not None:
        await page.get_by_test_id("quantity").fill(str(seats))
        await page.get_by_test_id("quantity").blur()
    await expect(page.get_by_test_id("confirm-change")).to_contain_text(f"{seats} seats" if seats else plan)
    return await page.get_by_test_id("due-now").inner_text()


async def give_card(page: Page, gateway_dev, number: str) -> None:
    """Give another card on the portal's page of the payment method, which leads back."""
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await pay_form(page, number)
    await page.get_by_test_id("save").click()
    if number == ALWAYS_ASKS:
        await page.get_by_test_id("3ds-approve").click()
    await page.wait_for_url(f"{gateway_dev.gateway_url}/demo/account**")
    await expect(page.get_by_test_id("plan")).to_be_visible()


async def change_card(page: Page, gateway_dev, number: str) -> None:
    """Give another card in the billing portal, and come back."""
    await page.get_by_test_id("portal").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await page.get_by_test_id("add-method").click()
    await pay_form(page, number)
    await page.get_by_test_id("save").click()
    if number == ALWAYS_ASKS:
        await page.get_by_test_id("3ds-approve").click()
    await expect(page.get_by_test_id("flash")).to_contain_text("payment method has been updated")
    await page.get_by_test_id("return").click()
    await expect(page.get_by_test_id("plan")).to_be_visible()
