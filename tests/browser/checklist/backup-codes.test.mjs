// Points 21 to 23 of the checklist: backup codes are kept in a way that suits, said to be kept, and printed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Place } from "./person.mjs";

const place = Place.open();

test("point 21: the codes are copied, downloaded as a text file and printed", async () => {
  await place.newcomer({ permissions: ["clipboard-read", "clipboard-write"] }, async (person) => {
    const { page } = person;
    await person.connect();
    const codes = await person.codes();
    assert.equal(new Set(codes).size, 10);

    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("status").filter({ hasText: "The backup codes have been copied." }).waitFor({ state: "attached" });
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), codes.join("\n"));

    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    assert.match(download.suggestedFilename(), /\.txt$/);
    const lines = (await readFile(await download.path(), "utf8")).split("\r\n");
    for (const code of codes) assert.ok(lines.includes(code));
    assert.ok(lines.some((line) => line.includes(person.account)), "the file says whose codes they are");

    await page.evaluate(() => {
      globalThis.print = () => document.body.setAttribute("data-printed", "yes");
    });
    await page.getByRole("button", { name: "Print" }).click();
    await page.locator("body[data-printed=yes]").waitFor({ state: "attached" });
  });
});

test("point 21: the codes are shown once, and the way back is safe", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const app = await person.connect();
    const [code] = await person.codes();
    await page.goto(`${place.server.origin}/2fa/enroll/`);
    await page.getByRole("heading", { level: 1, name: "This is already done" }).waitFor();
    assert.ok(code && !(await page.content()).includes(code));
    await page.goBack();
    await page.getByRole("heading", { level: 1 }).waitFor();
    assert.ok(!(await page.content()).includes(app.secret), "the secret is not shown again");
    await person.signIn();
    await person.send(await app.freshCode());
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 22: nobody goes on without saying that the codes are kept", async () => {
  for (const javaScriptEnabled of [true, false]) {
    await place.newcomer({ javaScriptEnabled }, async (person) => {
      const { page, window } = person;
      await person.connect();
      const codes = await person.codes();
      const gate = page.getByLabel("I have saved these codes in a safe place");
      assert.equal(await gate.isChecked(), false);
      await page.getByRole("button", { name: "Continue" }).click();
      assert.equal(await gate.evaluate((box) => /** @type {HTMLInputElement} */ (box).validity.valueMissing), true);
      assert.deepEqual(await person.codes(), codes, "the browser holds the form back");
      const form = page.locator("form.gate");
      await form.evaluate((form) => form.setAttribute("novalidate", ""));
      window.expect("400 /2fa/enroll/");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("alert").filter({ hasText: "Save the codes first" }).waitFor();
      assert.deepEqual(await person.codes(), codes, "so does the server, and nothing is lost");
      assert.equal(await gate.getAttribute("aria-invalid"), "true");
      assert.equal(await person.focused(), "input#saved");
      await person.keepCodes();
    });
  }
});

test("point 23: paper gets the codes black on white, and none of the page's furniture", async () => {
  await place.newcomer({ colorScheme: "dark", reducedMotion: "reduce" }, async (person) => {
    const { page, window } = person;
    await person.connect();
    const codes = await person.codes();
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    await window.picture("checklist-print");
    assert.equal(await page.locator("button:visible, input:visible, header:visible, aside:visible").count(), 0);
    assert.deepEqual(await page.locator("#codes li:visible code").allTextContents(), codes);
    const inks = await page.locator("h1:visible, h2:visible, p:visible, #codes code").evaluateAll((all) =>
      all.filter((element) => element.id !== "status").map((element) => getComputedStyle(element).color));
    assert.deepEqual([...new Set(inks)], ["rgb(0, 0, 0)"]);
    const papers = await page.locator("html, body, main, .card, #codes").evaluateAll((all) => all.map((element) => getComputedStyle(element).backgroundColor));
    assert.deepEqual(papers.filter((colour) => !["rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"].includes(colour)), []);
    const pdf = await page.pdf();
    assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
    assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length, 1, "one sheet");
  });
});
