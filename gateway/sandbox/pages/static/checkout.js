// Comfort for the checkout page: formatting, early checks, test cards, one payment per click.
// Everything works without it, by ordinary forms.
"use strict";

const BRANDS = [[/^4/, "Visa"], [/^(5[1-5]|2[2-7])/, "Mastercard"], [/^3[47]/, "American Express"], [/^(6011|65|64[4-9])/, "Discover"], [/^3[0689]/, "Diners Club"], [/^35/, "JCB"], [/^62/, "UnionPay"]];
const digitsOf = (text) => text.replace(/\D/g, "");

function luhn(number) {
  let sum = 0;
  for (let i = 0; i < number.length; i++) {
    const digit = Number(number[number.length - 1 - i]) * (i % 2 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return number.length >= 12 && sum % 10 === 0;
}

const formatters = {
  card_number(text) {
    const digits = digitsOf(text).slice(0, 19);
    return /^3[47]/.test(digits)
      ? [digits.slice(0, 4), digits.slice(4, 10), digits.slice(10, 15)].filter(Boolean).join(" ")
      : digits.replace(/(.{4})(?=.)/g, "$1 ");
  },
  card_expiry(text) {
    let digits = digitsOf(text);
    if (/^[2-9]/.test(digits)) digits = "0" + digits;
    if (digits.length > 4) digits = digits.slice(0, 2) + digits.slice(-2);
    return digits.length > 2 ? `${digits.slice(0, 2)} / ${digits.slice(2)}` : digits;
  },
  card_cvc: (text) => digitsOf(text).slice(0, 4),
  bank_account: (text) => text.toUpperCase().replace(/[^A-Z0-9]/g, "").replace(/(.{4})(?=.)/g, "$1 "),
};

// The same words as the server's, which checks again.
const checks = {
  email: (value) => (/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(value) ? "" : "Enter an e-mail address such as you@example.com."),
  card_number: (value) => (luhn(digitsOf(value)) ? "" : "Your card number is invalid."),
  card_expiry(value) {
    const [month, year] = value.split("/").map((part) => Number(part));
    return month >= 1 && month <= 12 && year >= 0 && year === year ? "" : "Enter the expiry date as MM / YY.";
  },
  card_cvc: (value) => (/^\d{3,4}$/.test(value) ? "" : "Enter the 3 or 4 digits of the security code."),
};

// Formats while typing and keeps the caret behind the same digit.
function formatAsTyped(input) {
  const format = formatters[input.name];
  input.addEventListener("input", (event) => {
    const caret = input.selectionStart;
    const atEnd = caret === input.value.length;
    const before = input.value.slice(0, caret).replace(/[^A-Za-z0-9]/g, "").length;
    // A deleted separator stays deleted until the next digit.
    if (event.inputType === "deleteContentBackward" && atEnd) input.value = input.value.replace(/[\s/]+$/, "");
    else input.value = format(input.value);
    if (!atEnd) {
      let position = 0;
      for (let seen = 0; position < input.value.length && seen < before; position++) if (/[A-Za-z0-9]/.test(input.value[position])) seen++;
      input.setSelectionRange(position, position);
    }
    if (input.name === "card_number") showBrand(input);
  });
}

function showBrand(input) {
  const found = BRANDS.find(([pattern]) => pattern.test(digitsOf(input.value)));
  document.getElementById("card-brand").textContent = found ? found[1] : "";
}

function showProblem(input, problem) {
  const note = document.getElementById(`${input.name}-error`);
  if (note) note.textContent = problem;
  if (problem) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  const stack = input.closest(".stack");
  if (stack) stack.classList.toggle("invalid", Boolean(stack.querySelector("[aria-invalid]")));
}

function problemOf(input) {
  const check = checks[input.name];
  return check && input.offsetParent !== null ? check(input.value.trim()) : "";
}

function checkForm(form) {
  const wrong = [...form.querySelectorAll("input[name]")].filter((input) => {
    if (!checks[input.name]) return false;
    const problem = problemOf(input);
    showProblem(input, problem);
    return problem;
  });
  if (wrong.length) {
    const notice = Object.assign(document.createElement("p"), { className: "notice danger", textContent: "Please check the marked fields." });
    document.getElementById("errors").replaceChildren(notice);
    wrong[0].focus();
  }
  return wrong.length === 0;
}

function fillTestCard(form, button) {
  const bank = button.dataset.fill === "bank";
  const radio = document.getElementById(bank ? "method-bank" : "method-card");
  if (radio) radio.checked = true;
  const values = bank
    ? { bank_account: formatters.bank_account(button.value) }
    : { card_number: formatters.card_number(button.value), card_expiry: "12 / 34", card_cvc: button.dataset.cvc };
  for (const [name, value] of Object.entries(values)) {
    const input = form.elements[name];
    input.value = value;
    showProblem(input, "");
    if (name === "card_number") showBrand(input);
  }
  document.querySelectorAll(".fill").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  const next = ["email", "name"].map((name) => form.elements[name]).find((input) => input && !input.value && input.offsetParent);
  (next || form.querySelector("[data-busy]")).focus();
}

function start(form) {
  for (const input of form.elements) {
    if (formatters[input.name]) formatAsTyped(input);
    if (checks[input.name]) input.addEventListener("change", () => showProblem(input, input.value ? problemOf(input) : ""));
  }
  if (form.elements.card_number) showBrand(form.elements.card_number);
  document.querySelectorAll(".fill").forEach((button) => button.addEventListener("click", (event) => {
    event.preventDefault();
    fillTestCard(form, button);
  }));
  document.querySelectorAll(".quantity").forEach((input) => input.addEventListener("change", () => {
    form.requestSubmit(document.querySelector('button[value="quantity"]'));
  }));

  let sent = false;
  form.addEventListener("submit", (event) => {
    const action = event.submitter ? event.submitter.value : "pay";
    if (sent || (action === "pay" && !checkForm(form))) return event.preventDefault();
    sent = true;
    const pay = form.querySelector("[data-busy]");
    if (action === "pay" || action === "decline") {
      pay.setAttribute("aria-disabled", "true");
      pay.replaceChildren(Object.assign(document.createElement("span"), { className: "spinner" }), pay.dataset.busy);
    }
  });
  // Back from the merchant's page the browser shows this page as it was left: it must work again.
  window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
  const invalid = form.querySelector("[aria-invalid]");
  if (invalid) invalid.focus();
}

const form = document.getElementById("pay-form");
if (form) start(form);

// An embedded page leads the whole window onwards; where the browser forbids that, the link stays.
const leave = document.querySelector("[data-leave]");
if (leave) window.top.location.href = leave.href;
