"""FastWARC and selectolax (lexbor) on a WARC file, beside `warc_pages`: see warc.sh.

Does what their users do: every HTML answer with status 200, decoded, its <img> elements, their src
joined with urllib.parse.urljoin, their alt. Nothing else: no text, headings, captions, links, srcset or
lazy attributes, all of which ours does in its time.
"""

import glob
import gzip
import os
import sys
import time

from fastwarc.warc import ArchiveIterator, WarcRecordType

from extract_selectolax import images, ours, web

HTML = ("text/html", "application/xhtml+xml")


def pages(path):
    records = ArchiveIterator(path, record_types=WarcRecordType.response, parse_http=True, auto_decode="all")
    for record in records:
        if record.http_headers is None or record.http_headers.status_code != 200:
            continue
        if record.http_content_type not in HTML:
            continue
        url = record.headers.get("WARC-Target-URI").strip("<>")
        yield url, record.reader.read()


def rate(path, seconds):
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        for url, html in pages(path):
            images(html, url)
            count += 1
    return count / (time.process_time() - start)


def main(binary, path, seconds=3, rounds=3):
    # Taken in turn: other work on the machine slows both.
    reports, rates = [], []
    for _ in range(rounds):
        reports.append(ours(binary, path, seconds))
        rates.append(rate(path, seconds))
    mine = sorted(report["pages_per_second"] for report in reports)[rounds // 2]
    peer = sorted(rates)[rounds // 2]
    found = reports[0]["images"]
    print(f"{len(found)} pages of {reports[0]['bytes_per_page'] / 1000:.0f} KB on average, median of {rounds}")
    print(f"magiclens            {mine:8.0f} pages/s/core (images, links, text, captions, headings)")
    print(f"FastWARC, selectolax {peer:8.0f} pages/s/core (img src and alt, urljoin)")
    print(f"ratio                {mine / peer:8.2f}")
    theirs = [(url, web(url for url, _ in images(html, url))) for url, html in pages(path)]
    assert len(theirs) == len(found), f"{len(theirs)} pages by FastWARC, {len(found)} by magiclens"
    different = 0
    for (url, peer_images), (_, own_images) in zip(theirs, found):
        own_images = web(own_images)
        if peer_images != own_images:
            different += 1
            print(f"{url}: only selectolax {sorted(peer_images - own_images)[:5]}, "
                  f"only magiclens {sorted(own_images - peer_images)[:5]}")
    print(f"image URLs: {len(found) - different} of {len(found)} pages agree")


def make(folder, path):
    def member(kind, url, content_type, block):
        head = (f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-18T01:58:10Z\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n")
        return gzip.compress(head.encode() + block + b"\r\n\r\n", 6)

    with open(path, "wb") as out:
        for page in sorted(glob.glob(os.path.join(folder, "*.html"))):
            html = open(page, "rb").read()
            url = "http://127.0.0.1:8090/en/" + os.path.basename(page)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\n\r\n"
            # A crawl has a request and metadata beside each answer.
            out.write(member("request", url, "application/http; msgtype=request", b"GET / HTTP/1.1\r\n\r\n"))
            out.write(member("response", url, "application/http; msgtype=response", head.encode() + html))
            out.write(member("metadata", url, "application/warc-fields", b"fetchTimeMs: 7\r\n"))


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(*sys.argv[2:4])
    else:
        main(*sys.argv[1:3])
