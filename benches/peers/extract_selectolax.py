"""selectolax (lexbor) on a folder of pages, beside `extract_pages`: see extract.sh.

Does what its users do: every <img>, its src joined with urllib.parse.urljoin, its alt. Nothing else:
no text, headings, captions, links, srcset or lazy attributes, all of which ours does in its time.
"""

import glob
import json
import os
import subprocess
import sys
import time
from urllib.parse import urldefrag, urljoin

from selectolax.lexbor import LexborHTMLParser

PAGE = "http://127.0.0.1:8090/en/page.html"


def images(html, url=PAGE):
    tree = LexborHTMLParser(html)
    base = tree.css_first("base[href]")
    base = urljoin(url, base.attributes["href"]) if base else url
    found = []
    for img in tree.css("img"):
        src = img.attributes.get("src")
        if src:
            found.append((urljoin(base, src.strip()), img.attributes.get("alt")))
    return found


def rate(pages, seconds):
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        for html in pages.values():
            images(html)
            count += 1
    return count / (time.process_time() - start)


def ours(binary, path, seconds):
    return json.loads(subprocess.run([binary, path, str(seconds)], stdout=subprocess.PIPE, check=True).stdout)


def web(urls):
    return {urldefrag(url).url for url in urls if url.startswith(("http://", "https://"))}


def main(binary, folder, seconds=3, rounds=3):
    paths = sorted(glob.glob(os.path.join(folder, "*.html")))
    pages = {os.path.basename(path): open(path, "rb").read() for path in paths}
    # Taken in turn: other work on the machine slows both.
    reports, rates = [], []
    for _ in range(rounds):
        reports.append(ours(binary, folder, seconds))
        rates.append(rate(pages, seconds))
    mine = sorted(report["pages_per_second"] for report in reports)[rounds // 2]
    peer = sorted(rates)[rounds // 2]
    print(f"{len(pages)} pages of {reports[0]['bytes_per_page'] / 1000:.0f} KB on average, median of {rounds}")
    print(f"magiclens   {mine:8.0f} pages/s/core (images, links, text, captions, headings)")
    print(f"selectolax  {peer:8.0f} pages/s/core (img src and alt, urljoin)")
    print(f"ratio       {mine / peer:8.2f}")
    different = 0
    for name, html in pages.items():
        theirs = web(url for url, _ in images(html))
        found = set(reports[0]["images"][name])
        if theirs != found:
            different += 1
            print(f"{name}: only selectolax {sorted(theirs - found)}, only magiclens {sorted(found - theirs)}")
    print(f"image URLs: {len(pages) - different} of {len(pages)} pages agree")


if __name__ == "__main__":
    main(*sys.argv[1:3])
