"""Report and viewer as a person uses them: view.py CHROMIUM DRIVER report|serve URL IMAGE_URL FOLDER.

IMAGE_URL is an address that was turned down. Screenshots go to FOLDER."""

import sys

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from chromium import check_loads, start

chromium, driver_path, kind, url, image_url, folder = sys.argv[1:]

driver = start(chromium, driver_path)
wait = WebDriverWait(driver, 60)


def one(selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def some(selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def status():
    return one("#status").text


def total():
    return int(status().split(" triplets")[0].split()[-1].replace(",", ""))


def field(name):
    return one(f"#filters [name={name}]")


def ids():
    return driver.execute_script("return [...document.querySelectorAll('#cards .card')].map((card) => card.dataset.id)")


def press(*keys):
    ActionChains(driver).send_keys(*keys).perform()


def current():
    return [card.get_attribute("data-id") for card in some("#cards .card[aria-current]")]


def settle(change):
    """Makes a change that asks for other triplets, and waits for them."""
    driver.execute_script("document.getElementById('status').textContent = ''")
    change()
    shown = "return document.getElementById('cards').dataset.filter === JSON.stringify(filter())"
    wait.until(lambda _: "triplets" in status() and driver.execute_script(shown))


def type_into(name, text):
    def change():
        field(name).clear()
        field(name).send_keys(text)
    settle(change)


def clear():
    settle(lambda: one("#filters button[type=reset]").click())


def check_filters():
    everything = total()
    first = ids()
    assert everything >= len(first) >= 2, everything
    split = Select(field("split"))
    parts = 0
    for name in [option.get_attribute("value") for option in split.options[1:]]:
        settle(lambda: split.select_by_value(name))
        parts += total()
    assert parts == everything, (parts, everything)
    clear()
    assert ids() == first

    word = one("#cards .instruction").text.split()[-1]
    type_into("words", word)
    found = total()
    assert 0 < found <= everything
    assert all(word.lower() in said.text.lower() for said in some("#cards .instruction"))
    type_into("words", "zzzzqq")
    assert total() == 0 and not ids()
    clear()
    type_into("visual_min", "2")
    assert total() == 0
    clear()
    type_into("text_max", "1")
    assert total() == everything
    clear()
    domain = driver.execute_script("return document.querySelector('#domains option').value")
    type_into("domain", domain)
    assert 0 < total() <= everything
    clear()


def check_paging():
    everything, first = total(), ids()
    if everything <= len(first):
        assert not one("#next").is_enabled()
        return
    settle(lambda: one("#next").click())
    second = ids()
    assert second and not set(first) & set(second)
    assert status().startswith(f"{len(first) + 1:,} to "), status()
    settle(lambda: one("#previous").click())
    assert ids() == first
    assert not one("#previous").is_enabled()
    # From the last triplet of a page to the first of the next by keyboard, and back.
    driver.execute_script("select(shown.length - 1)")
    settle(lambda: press("j"))
    wait.until(lambda _: current() == second[:1])
    settle(lambda: press("k"))
    wait.until(lambda _: current() == first[-1:])
    settle(lambda: press("n"))
    settle(lambda: press("p"))


def check_keys():
    seen = ids()
    driver.execute_script("document.activeElement.blur(); selected = -1")
    press("j")
    assert current() == seen[:1]
    press("j")
    assert current() == seen[1:2]
    press(Keys.ARROW_UP)
    assert current() == seen[:1]
    press(Keys.ARROW_DOWN, "k")
    assert current() == seen[:1]
    assert driver.switch_to.active_element.get_attribute("data-id") == seen[0], "focus goes along"
    press("?")
    assert one("#help").is_displayed()
    press(Keys.ESCAPE)
    assert not one("#help").is_displayed()
    press("/")
    assert driver.switch_to.active_element == field("words")
    # Typing is no command.
    settle(lambda: press("b"))
    clear()


def check_marks():
    chosen = ids()[1]
    card = f".card[data-id='{chosen}']"
    driver.execute_script("select(1)")

    def marked():
        return one(card).get_attribute("data-mark")

    for key, mark in [("g", "good"), ("b", "bad"), ("u", "unsafe"), ("x", None), ("b", "bad")]:
        press(key)
        wait.until(lambda _: marked() == mark, f"{key}: {marked()}")
    pressed = [one(f"{card} .marks [data-mark={mark}]").get_attribute("aria-pressed") for mark in ["good", "bad"]]
    assert pressed == ["false", "true"], pressed
    settle(lambda: Select(field("mark")).select_by_value("bad"))
    assert ids() == [chosen]
    clear()
    # A button does the same, and pressed again takes it back.
    other = f".card[data-id='{ids()[0]}']"
    for mark in ["good", None]:
        one(f"{other} .marks [data-mark=good]").click()
        wait.until(lambda _: one(other).get_attribute("data-mark") == mark)
    # It is there after the page is loaded again.
    driver.refresh()
    wait.until(lambda _: some("#cards .card"))
    assert marked() == "bad"


def check_why():
    one("#ask input").send_keys(image_url, Keys.ENTER)
    wait.until(lambda _: "Turned down" in one("#answer").text, one("#answer").text)
    assert image_url in one("#answer").text
    one("#ask input").clear()
    one("#ask input").send_keys("http://nobody.example/", Keys.ENTER)
    wait.until(lambda _: "No committed table" in one("#answer").text)


def check_reasons():
    reasons = some("#steps .reasons button")
    assert reasons
    pictures = 0
    for reason in reasons:
        reason.click()
        wait.until(lambda _: one("#examples").is_displayed())
        assert some("#examples li"), reason.text
        pictures += len(some("#examples img"))
        press(Keys.ESCAPE)
        assert not one("#examples").is_displayed()
    assert pictures, "rejects with their images"


def check_images():
    images = some("#cards img")
    assert images
    loaded = "return arguments[0].complete && arguments[0].naturalWidth > 0"
    wait.until(lambda _: all(driver.execute_script(loaded, image) for image in images[:4]))
    assert all(image.accessible_name for image in images)


def check_named():
    for control in some("button, input, select"):
        if control.is_displayed():
            assert control.accessible_name, control.get_attribute("outerHTML")
    for svg in some("svg"):
        assert svg.aria_role in ("image", "img") and svg.accessible_name, svg.get_attribute("outerHTML")[:200]


def check_themes():
    dark = "return getComputedStyle(document.body).backgroundColor"
    shades = set()
    for name in ["light", "dark", "system"]:
        one("#theme").click()
        assert one("#theme").text == f"Theme: {name}", one("#theme").text
        shades.add(driver.execute_script(dark))
        if name != "system":
            driver.execute_script("window.scrollTo(0, 0)")
            driver.save_screenshot(f"{folder}/{kind}-{name}.png")
    assert len(shades) == 2, shades


def check_narrow():
    driver.set_window_size(420, 900)
    width = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0, width
    driver.save_screenshot(f"{folder}/{kind}-narrow.png")


try:
    driver.get(url)
    wait.until(lambda _: some("#cards .card"))
    wait.until(lambda _: some("#steps tbody tr"))
    check_images()
    check_named()
    check_filters()
    check_paging()
    check_keys()
    check_reasons()
    if kind == "serve":
        check_marks()
        check_why()
    check_themes()
    # What pages say did not become markup.
    assert driver.execute_script("return window.hacked === undefined")
    assert not some("main script, main iframe, dialog script")
    check_loads(driver, url)
    check_narrow()
finally:
    driver.quit()
