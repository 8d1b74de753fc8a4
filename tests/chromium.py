"""Headless Chromium for the tests of pages."""

import json
from urllib.parse import urlsplit

from selenium import webdriver


def start(chromium, driver, width=1200, height=1000):
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--window-size={width},{height}"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def complaints(driver):
    """What the page says on the console that is an error."""
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def check_loads(driver, url):
    """Nothing was asked of anybody else, and nothing went wrong on the way."""
    own, asked = urlsplit(url), []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(urlsplit(message["params"]["request"]["url"]))
    for at in asked:
        assert at.scheme == "data" or (at.scheme, at.netloc) == (own.scheme, own.netloc), at
    assert asked
    said = complaints(driver)
    assert not said, said
