//! Pages in legacy encodings, each declared in another way or not at all.

use super::doc::{Block, Charset, Doc};
use super::odd::{Odd, at};

struct Page {
    path: &'static str,
    charset: Charset,
    lang: &'static str,
    title: &'static str,
    text: &'static str,
    alts: [&'static str; 2],
}

const PAGES: [Page; 5] = [
    Page {
        path: "/languages/russian.html",
        charset: Charset::Cyrillic,
        lang: "ru",
        title: "Лодка в гавани",
        text: "Зимой в гавани тихо. Мы снимали одну и ту же лодку утром и вечером.",
        alts: ["Лодка у причала", "Та же лодка вечером"],
    },
    Page {
        path: "/languages/japanese.html",
        charset: Charset::Japanese,
        lang: "ja",
        title: "港の船",
        text: "冬の港は静かです。同じ船を朝と夕方に撮りました。",
        alts: ["桟橋の船", "夕方の同じ船"],
    },
    Page {
        path: "/languages/french.html",
        charset: Charset::Western,
        lang: "fr",
        title: "Le même bateau, à l’été",
        text: "L’été, le port s’éveille tôt. Voilà le bateau près de la jetée, côté château.",
        alts: ["Le bateau à quai", "Le même bateau, la nuit tombée"],
    },
    Page {
        path: "/languages/chinese.html",
        charset: Charset::Chinese,
        lang: "zh",
        title: "港口里的小船",
        text: "冬天的港口很安静。我们在早晨和傍晚拍摄了同一条船。\
               这里的人们喜欢在海边散步，看着船只慢慢驶向远方。\
               照片中的房子和街道都被白雪覆盖，远处的山也变成了白色。",
        alts: ["码头上的小船", "傍晚的同一条船"],
    },
    Page {
        path: "/languages/utf8.html",
        charset: Charset::Utf8,
        lang: "el",
        title: "Η ίδια βάρκα τον χειμώνα 🚤",
        text: "Το λιμάνι είναι ήσυχο τον χειμώνα.",
        alts: ["Η βάρκα στην προβλήτα", "Η ίδια βάρκα το βράδυ"],
    },
];

/// Adds the pages; returns the page that links to them.
pub fn plant(odd: &mut Odd<'_>) -> String {
    let mut chapter = odd.page("/languages/", "Languages");
    for page in PAGES {
        let mut doc = Doc::new(at(page.path), page.title);
        (doc.charset, doc.lang) = (page.charset, page.lang);
        doc.push(Block::Text(page.text.into()));
        for alt in page.alts {
            let mut figure = odd.photo();
            (figure.alt, figure.caption) = (alt.into(), Some(alt.into()));
            doc.figure(figure);
        }
        chapter.link(doc.url.clone(), page.lang);
        odd.world.put_page(doc);
    }
    odd.world.put_page(chapter);
    at("/languages/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_can_be_written_in_its_encoding() {
        for page in PAGES {
            let mut doc = Doc::new(at(page.path), page.title);
            doc.charset = page.charset;
            doc.text(page.text);
            let html = String::from_utf8_lossy(&doc.to_bytes(80)).into_owned();
            assert!(!html.contains("&#"), "{} has a letter its encoding lacks", page.path);
        }
    }

    #[test]
    fn the_page_that_says_nothing_can_be_guessed() {
        let page = &PAGES[3];
        let mut doc = Doc::new(at(page.path), page.title);
        doc.charset = page.charset;
        doc.text(page.text);
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(&doc.to_bytes(80), true);
        let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
        assert_eq!(encoding.name(), doc.charset.name());
    }
}
