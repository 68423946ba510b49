"""Files and their links, the sheet of a quote. Each by its page of docs.stripe.com/api."""

import io
from contextlib import closing

import httpx
import pytest
import stripe


@pytest.fixture
def v1(sandbox_server):
    addresses = {"api": sandbox_server.url, "files": sandbox_server.url}
    return stripe.StripeClient("sk_test_1", base_addresses=addresses, max_network_retries=0).v1


def test_a_file_is_kept_linked_to_and_downloaded(sandbox_server, v1):
    content = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    content.name = "logo.png"
    file = v1.files.create({"purpose": "business_logo", "file": content})
    assert (file.filename, file.purpose, file.size, file.type) == ("logo.png", "business_logo", 8, "png")
    kept = httpx.get(file.url, headers={"Authorization": "Bearer sk_test_1"})
    assert kept.content == b"\x89PNG\r\n\x1a\n"
    assert httpx.get(file.url).status_code == 401
    link = v1.file_links.create({"file": file.id, "metadata": {"a": "b"}, "expires_at": file.created + 3600})
    assert (link.file, link.expired) == (file.id, False)
    assert httpx.get(link.url).content == kept.content
    sandbox_server.advance(3600)
    assert v1.file_links.retrieve(link.id).expired is True
    assert httpx.get(link.url).status_code == 410
    assert [each.id for each in v1.files.list({"purpose": "business_logo"}).data] == [file.id]


def test_the_sheet_of_a_quote_is_there_once_it_is_finalized(v1):
    customer = v1.customers.create({"name": "Ada (Ltd)"}).id
    price = v1.prices.create({"currency": "eur", "unit_amount": 1050, "product_data": {"name": "Tea"}}).id
    quote = v1.quotes.create({"customer": customer, "line_items": [{"price": price, "quantity": 2}]}).id
    with pytest.raises(stripe.InvalidRequestError, match="draft"):
        v1.quotes.pdf(quote)
    v1.quotes.finalize_quote(quote)
    with closing(v1.quotes.pdf(quote).io) as answer:
        sheet = answer.read()
    assert sheet.startswith(b"%PDF-1.4")
    assert sheet.endswith(b"%%EOF\n")
    assert rb"for Ada \(Ltd\)) Tj" in sheet
    assert "Total €21.00".encode("cp1252") in sheet
    place = int(sheet.rsplit(b"startxref\n", 1)[1].split()[0])
    assert sheet[place:].startswith(b"xref\n0 6\n")
