"""Judges in a browser as a person does, by keyboard.

usage: judge_browser.py CHROMIUM DRIVER URL SCREENSHOT KEY...

Presses each key, waits until the page has taken it, and prints what was there before as a line of JSON.
"""
import json
import sys

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from chromium import check_loads, start

chromium, driver_path, url, screenshot, *keys = sys.argv[1:]

driver = start(chromium, driver_path, 1100, 900)
wait = WebDriverWait(driver, 30)


def text(selector):
    return driver.find_element(By.CSS_SELECTOR, selector).get_attribute("textContent")


def seen():
    """What is on the page, and whether its images are there."""
    images = driver.find_elements(By.CSS_SELECTOR, "main img:not([hidden])")
    images = [image for image in images if image.is_displayed()]
    wait.until(lambda _: all(image.get_property("complete") for image in images))
    pressed = driver.find_elements(By.CSS_SELECTOR, "[aria-pressed=true]")
    return {
        "progress": text("#progress"),
        "question": text("#question"),
        "instruction": text("#instruction"),
        "sides": [
            [line.get_attribute("textContent") for line in side.find_elements(By.TAG_NAME, "li")]
            for side in driver.find_elements(By.CSS_SELECTOR, "#sides article")
        ],
        "images": [image.get_property("naturalWidth") for image in images],
        "pressed": [button.get_attribute("data-verdict") for button in pressed],
        "result": text("#result pre") if driver.find_element(By.ID, "result").is_displayed() else None,
    }


try:
    driver.get(url)
    for key in keys:
        wait.until(lambda _: text("#progress") != "")
        before = seen()
        print(json.dumps(before))
        ActionChains(driver).send_keys(getattr(Keys, key, key)).perform()
        wait.until(lambda _: seen() != before, f"{key} changed nothing: {before}")
    print(json.dumps(seen()))
    driver.save_screenshot(screenshot)
    check_loads(driver, url)
    assert driver.execute_script("return window.hostile") is None
finally:
    driver.quit()
