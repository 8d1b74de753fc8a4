"""The search page as a person uses it: browser.py CHROMIUM DRIVER URL IMAGE NO_IMAGE SCREENSHOT."""

import base64
import sys

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from chromium import complaints, start

chromium, driver_path, url, image, no_image, screenshot = sys.argv[1:]

driver = start(chromium, driver_path)
wait = WebDriverWait(driver, 60)


def status():
    return driver.find_element(By.ID, "status").text


def results():
    return driver.find_elements(By.CSS_SELECTOR, "#results li")


def name(item):
    return item.find_element(By.CLASS_NAME, "name").text


def scores():
    return [float(score.text) for score in driver.find_elements(By.CLASS_NAME, "score")]


def drop(path, kind):
    """Drags a file over the page and lets it go; gives whether the page showed that it would take it."""
    with open(path, "rb") as content:
        content = base64.b64encode(content.read()).decode()
    return driver.execute_script("""
        const [content, kind] = arguments;
        const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], 'dropped', { type: kind }));
        const target = document.getElementById('drop');
        const event = (name) => new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
        const isStopped = !target.dispatchEvent(event('dragover'));
        const isShown = target.classList.contains('over');
        target.dispatchEvent(event('drop'));
        return isStopped && isShown && !target.classList.contains('over');
    """, content, kind)


def found(count):
    wait.until(lambda _: status().startswith(f"{count} images"), f"status: {status()}")
    assert len(results()) == count, len(results())


try:
    driver.get(url)
    wait.until(lambda _: driver.find_element(By.ID, "about").text.startswith("12 images"))
    assert driver.title == "MagicLens search"

    # Nothing asked: a word about it, and no request.
    driver.find_element(By.ID, "go").click()
    assert status().startswith("Choose an image"), status()

    # An image finds itself, and then, with an instruction typed and Enter pressed, something is asked of it.
    driver.find_element(By.ID, "file").send_keys(image)
    found(12)
    assert name(results()[0]) == "scene 05.jpg", name(results()[0])
    assert driver.find_element(By.ID, "preview").is_displayed()
    bare = scores()
    assert bare == sorted(bare, reverse=True) and bare[0] > 0.99, bare
    text = driver.find_element(By.ID, "text")
    text.send_keys("in the snow", Keys.ENTER)
    wait.until(lambda _: status().startswith("12 images") and scores() != bare)

    # From a result on, by keyboard alone: its button is reached and pressed.
    button = results()[1].find_element(By.TAG_NAME, "button")
    asked = name(results()[1])
    driver.execute_script("arguments[0].focus()", button)
    assert driver.switch_to.active_element == button
    button.send_keys(Keys.ENTER)
    found(11)
    assert asked not in [name(item) for item in results()], "the query image is among its results"
    assert driver.switch_to.active_element.get_attribute("id") == "text", "focus goes to the instruction"

    # What a screen reader is told.
    assert driver.find_element(By.ID, "text").accessible_name.startswith("What should lead")
    assert driver.find_element(By.ID, "results").accessible_name == "Results"
    assert driver.find_element(By.ID, "status").aria_role == "status"
    told = driver.find_element(By.ID, "preview").accessible_name
    assert told == f"Query image: {asked}", told
    for rank, item in enumerate(results(), 1):
        assert item.find_element(By.TAG_NAME, "img").accessible_name == name(item)
        button = item.find_element(By.TAG_NAME, "button")
        assert button.accessible_name == f"Search from result {rank}: {name(item)}", button.accessible_name
    images = driver.find_elements(By.CSS_SELECTOR, "#results img")
    wait.until(lambda _: all(driver.execute_script(
        "return arguments[0].complete && arguments[0].naturalWidth > 0", shown) for shown in images[:4]))

    # Every control is reached with the Tab key, in the order of the page.
    driver.execute_script("document.getElementById('file').focus()")
    reached = []
    for _ in range(5):
        active = driver.switch_to.active_element
        reached.append(active.get_attribute("id") or active.accessible_name)
        ActionChains(driver).send_keys(Keys.TAB).perform()
    first = f"Search from result 1: {name(results()[0])}"
    assert reached == ["file", "clear", "text", "go", first], reached
    driver.save_screenshot(screenshot)

    # A file that is no image is refused with a word, and the page goes on.
    driver.find_element(By.ID, "file").send_keys(no_image)
    wait.until(lambda _: status().startswith("No answer:"))
    assert not results()
    driver.find_element(By.ID, "clear").click()
    text = driver.find_element(By.ID, "text")
    text.clear()
    text.send_keys("a lighthouse", Keys.ENTER)
    found(12)

    # A file that is dropped is asked with; one that is no image is not.
    text.clear()
    before = [name(item) for item in results()]
    assert drop(no_image, "text/plain")
    assert [name(item) for item in results()] == before
    assert drop(image, "image/jpeg")
    wait.until(lambda _: status().startswith("12 images") and name(results()[0]) == "scene 05.jpg")
    assert driver.find_element(By.ID, "preview").accessible_name == "Query image: dropped"

    # The page says nothing on the console but for the refusal just seen.
    said = complaints(driver)
    assert all("415" in entry["message"] for entry in said), said

    # A narrow screen is not scrolled sideways.
    driver.set_window_size(420, 900)
    width = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0, width
finally:
    driver.quit()
