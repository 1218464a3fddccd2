"""A news article out of the text of its page: headline, story, date, place; without menus, links and notices.

Site furniture is not evidence: a related headline ("Baca juga: ASN bagi amplop...") would otherwise be read as part of
the story. The rules know kinds of furniture, no site in particular.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser

from services.ingest.clean import clean_text


class NotText(ValueError):  # noqa: N818 - it names what the bytes are, which is what the sender must read
    """The bytes are no text; the message says so in a sentence a sender understands."""


@dataclass(frozen=True, slots=True)
class Article:
    """What a reader of the page would call the article.

    Attributes:
        title: the headline; empty when the page shows none.
        body: the story, paragraphs parted by a blank line, without headline, dateline and credits.
        published: day of publication, or the day that the story itself gives as its own ("Rabu (31/7/2024)"); a civil
            date in Indonesia, without time zone. None when neither stands there.
        dateline: the place before the first sentence ("PELAIHARI"), without the outlet's name; empty when there is
            none. It says where the reporter wrote, which need not be where the story happened.
    """

    title: str
    body: str
    published: date | None
    dateline: str


_CONTROL_SHARE = 0.05
_PARAGRAPH_CHARACTERS = 110
_LINK_CHARACTERS = 200
_FURNITURE_CHARACTERS = 420
_TAIL_CHARACTERS = 130
_DATELINE_CHARACTERS = 160
_DATELINE_PARAGRAPHS = 3
_HEADLINE_WORDS = 4
_RELATED_LINKS = 5

_MONTH_NAMES = """
    januari jan january|februari feb pebruari february|maret mar march|april apr|mei may|juni jun june|juli jul july
    |agustus agu agt ags aug august|september sep sept|oktober okt oct october|november nov nop nopember
    |desember des dec december
"""
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES.split("|"), start=1) for name in names.split()}
_WEEKDAY = r"(?:senin|selasa|rabu|kamis|jum'?at|jumat|sabtu|minggu|ahad)"
_DATE = (
    r"(?:(?P<y1>(?:19|20)\d\d)-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})"
    r"|(?P<d2>\d{1,2})\s?[/.-]\s?(?P<m2>\d{1,2})\s?[/.-]\s?(?P<y2>(?:19|20)?\d\d)"
    rf"|(?P<d3>\d{{1,2}})\s(?P<m3>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?,?\s(?P<y3>(?:19|20)\d\d))"
    r"(?!\d)"
)
_ANY_DATE = re.compile(rf"(?<!\d){_DATE}", re.IGNORECASE)
_NEWS_DAY = re.compile(rf"\b{_WEEKDAY},?\s?\(\s?{_DATE}\s?\)", re.IGNORECASE)
_NAMED_DAY = re.compile(rf"\b{_WEEKDAY}\b[,(]?\s?(?:tanggal\s)?\(?(?<!\d){_DATE}", re.IGNORECASE)
_STAMP = re.compile(
    r"(?:(?:(?:di)?(?:terbit(?:kan)?|publikasi(?:kan)?|posting|unggah|update|perbarui|rilis)(?: pada)?"
    r"|published|posted(?: on)?|updated|tanggal|by \S+|oleh \S+|admin|redaksi)\W{1,4})?"
    rf"(?:{_WEEKDAY}\W{{1,3}})?{_DATE}"
    r"(?:\W{0,4}(?:(?:pukul|jam) )?\d{1,2}[.:]\d{2}(?:[.:]\d{2})?(?: ?(?:wib|wita|wit|am|pm))?)?",
    re.IGNORECASE,
)
_OTHER_DAY_BEFORE = re.compile(
    r"(?:undang-undang|\buu|nomor|pemungutan suara|pencoblosan|coblosan|hari h|pemilihan|pilkada|mendatang)"
    r"\W[^.]{0,40}\Z",
    re.IGNORECASE,
)
_OTHER_DAY_AFTER = re.compile(r"\)?\s?(?:mendatang|nanti|yang akan datang|lalu sampai)\b", re.IGNORECASE)

_OUTLET = r"(?:[\w-]+\.(?:com|co|id|net|org|news|tv|info|co\.id|go\.id|or\.id)|antara|infopublik|kbrn|rri|humas)"
_DASH = r"(?:\s--?\s?|--?\s|\s?[–—―]\s?)"
_OFFICE = (
    "asn tni polri bawaslu kpu dkpp panwaslu panwascam ketua anggota kepala sekretaris bupati gubernur wali camat "
    "lurah kades pj plt pasangan calon paslon pilkada pemilu"
)
_NO_PLACE = frozenset(_OFFICE.split())
_DATELINE = re.compile(
    rf"""\A(?:{_OUTLET}\s?[,|-]\s?)?
    (?P<place>[A-Z][\w.']*(?:\s[A-Z][\w.']*){{0,3}})?
    (?:\s?(?:\([\w.'/\ -]{{2,40}}\)
        |[,|/]\s?(?!(?i:{_OFFICE.replace(" ", "|")})\b)[\w.'/-]{{2,40}}(?:\s[\w.'/-]{{2,40}})?))?
    (?:,\s(?i:(?:{_WEEKDAY}\W{{1,3}})?{_DATE}))?,?{_DASH}(?=\S)""",
    re.VERBOSE,
)
_DATED_PLACE = re.compile(
    r"\A(?P<place>[A-Z][\w.']*(?:\s[A-Z][\w.']*){0,3}),\s"
    rf"(?i:(?:{_WEEKDAY}\W{{1,3}})?{_DATE})\s?[,:.–—-]{{1,2}}\s(?=\S)"
)
_OUTLET_NAME = re.compile(rf"(?i:\A{_OUTLET}\Z)")


def _line_of(*patterns: str) -> re.Pattern[str]:
    """For a whole line, without the signs around it, that is one of the patterns."""
    return re.compile("|".join(patterns), re.IGNORECASE)


_READ_ALSO = re.compile(
    r"(?:(?:baca|simak|lihat|tonton) ?(?:juga|pula|selengkapnya|berita lainnya|lainnya)|(?:read|see) also) ?:?"
    r"(?P<link>.*)",
    re.IGNORECASE,
)
_READ_ALSO_INLINE = re.compile(
    r"(?<=[.!?”\"])\s[\[(]?(?:baca|simak|lihat) (?:juga|pula)\s?:\s?[^.]{5,200}\Z", re.IGNORECASE
)
_NETWORKS = "facebook|twitter|whats ?app|telegram|line|x|pinterest|linkedin|instagram|youtube|tiktok|threads|messenger"
_FURNITURE = _line_of(
    # advertising
    r"(?:space )?iklan(?: (?:atas|bawah|sponsor))?|advert[a-z]*|ads?|sponsor(?:ed)?|promoted|adsense|pariwara",
    r"(?:advertisement )?scroll (?:to )?(?:continue|resume).*|gulir (?:untuk|ke).*|lanjut(?:kan)? (?:baca|membaca).*",
    # sharing
    rf"(?:bagikan|sebarkan|share)(?: (?:artikel|berita|ini|this|on|ke|via|:|post|article|{_NETWORKS}))*",
    rf"(?:{_NETWORKS}|email|print|cetak|copy link|salin (?:tautan|link)|rss|feed|[|/, ])+",
    # menus
    r"(?:lompat|langsung|lewati) ke (?:isi|konten).*|skip to (?:main )?(?:content|navigation).*",
    r"menu(?: utama)?|home|beranda|cari|search|pencarian|login|masuk|daftar|log in|sign in|langganan|subscribe",
    r"kontak(?: kami)?|redaksi|pedoman media (?:siber|cyber)|tentang kami|about(?: us)?|contact(?: us)?|disclaimer",
    r"privacy policy|kebijakan privasi|syarat (?:dan|&) ketentuan|karir|info iklan|kode etik.{0,20}|sitemap",
    r"indeks(?: berita)?|berlangganan.*|live (?:tv|streaming)|breaking news|berita|news|artikel|headline",
    r"baca koran|e-?paper|koran digital|edisi cetak|versi cetak",
    r"(?:home|beranda) ?(?:[/»>›|\\] ?[^/»>›|\\]{1,80}){1,6}",
    r"(?:sebelumnya|selanjutnya|previous|next|prev)(?: ?(?:post|artikel|berita|page|[«»<>→←])).{0,160}",
    r"halaman ?:?[\d /|]+(?:selanjutnya)?",
    # credits and captions
    r"(?:penulis|editor|reporter|pewarta|wartawan|kontributor|redaktur|oleh|by|author|fotografer|penyunting|uploader"
    r"|sumber berita)(?: ?:.{0,120})?",
    r"laporan (?:wartawan|reporter|kontributor).{1,120}",
    r"(?:ket(?:erangan)?\.? (?:foto|gambar)|foto|caption|teks foto|photo|gambar|ilustrasi|dok(?:umentasi)?\.?"
    r"(?: foto)?)(?: ?[:.(].{0,300})?",
    r"(?:img|dscn?|pxl|vid|screenshot|whats ?app image|photo|image|picsart|inshot)[ _-]?[\w .,()-]{0,20}"
    r"\d[\w .,()-]{0,60}",
    r"[\w ().-]{1,80}\.(?:jpe?g|png|webp|gif|bmp|heic)",
    # notices and tools of the page
    r".{0,200}\b(?:cookies?|kuki)\b.{0,200}",
    r"(?:ikuti|follow|temukan|dapatkan|cek|simak|baca|gabung|join|unduh|download|pantau|update|nikmati|klik|jangan lupa"
    r"|jangan lewatkan).{0,120}(?:google news|whats ?app|wa channel|telegram|saluran|channel|kanal|aplikasi|play store"
    r"|app store|instagram|facebook|tiktok|youtube|newsletter).{0,160}",
    r"(?:dibaca|dilihat|views?|pembaca|hits?) ?:? ?[\d.,]+(?: ?(?:kali|x|views?))?",
    r"[\d.,]+ ?(?:kali dibaca|views?|shares?|comments?|pembaca)",
    r"(?:waktu baca|estimasi baca)? ?\d+ (?:menit|min(?:ute)?s?) ?(?:baca|membaca|read)?",
    r"(?:font|ukuran) (?:size|huruf|teks)(?: ?:?[ a+-]{0,12})?|a[-+] ?a",
    r"perbesar|perkecil|zoom|dengarkan(?: artikel)?|putar|play|pause|x",
)
_CLOSING = _line_of(
    # comments
    r"leave a (?:reply|comment).*|(?:tinggalkan|beri(?:kan)?|tulis|kirim) (?:balasan|komentar|tanggapan).*",
    r"your email address.*|alamat email anda.*|required fields.*|ruas yang wajib.*|\d+ komentar",
    r"(?:komentar|comments?)(?: ?\(?\d*\)?)?|(?:isi )?komentar (?:sepenuhnya|adalah|di luar|pembaca|menjadi).*",
    r"be the first to.*|cancel reply|batalkan balasan|(?:simpan|save) (?:nama|my name).*|belum ada komentar.*",
    r"silakan (?:login|masuk) untuk.*",
    # rights
    r"(?:copyright|hak cipta|all rights reserved).*|.{0,80}(?:hak cipta dilindungi|all rights reserved).*",
    r"(?:konten (?:ini )?)?dilarang (?:keras )?(?:mengambil|mengutip|meng-?copy|menyalin|memperbanyak|mereproduksi).*",
    # tags
    r"tags?(?:\(s\)?)?(?: ?[:#].*)?",
    r"(?:topik|kata kunci|label|topics?)(?: (?:terkait|berita|populer))?(?: ?:.*)?",
    # the outlet about itself
    r"(?:tentang penulis|about the author|profil penulis|redaksi menerima).*|(?:diterbitkan|dikelola) oleh pt\b.*",
    r".{2,80} (?:adalah|merupakan) (?:sebuah |salah satu )?"
    r"(?:media|portal|situs|surat kabar|koran|perusahaan (?:pers|media)|website|kantor berita) "
    r".{0,60}(?:online|siber|cyber|digital|daring|berita|massa|informasi|pt\b|nasional|lokal).*",
)
_RELATED = _line_of(
    r"(?:berita|artikel|baca juga|tulisan|konten|video|pos|post) "
    r"?(?:terkait|lainnya|lain|populer|terbaru|terkini|pilihan|serupa)(?:\W{1,3}\d{1,3})?",
    r"terpopuler|terkini|populer|popular(?: posts?)?|trending(?: now)?|most (?:read|popular)|latest (?:news|posts?)",
    r"rekomendasi(?: (?:untuk anda|berita|artikel|redaksi))?|related ?(?:posts?|articles?|news)?|recent posts?",
    r"you (?:may|might) (?:also )?like|(?:mungkin )?anda (?:mungkin )?(?:juga )?(?:suka|menyukai)",
    r"editor'?s (?:choice|pick)|pilihan (?:editor|redaksi)|baca artikel lainnya|jangan lewatkan|hot (?:news|topic)",
    r"artikel ini telah tayang.*",
)
_CREDIT_NAME = r"[\w*.@-]{1,30}(?:\s[\w*.-]{1,20}){0,3}"
_CREDIT = re.compile(
    r"(?:(?<=[.!?”\"’*])|\A)\s*[(\[](?=[^)\]]*[a-z*])"
    rf"(?:\*+|{_CREDIT_NAME}(?:\s?[/|,&]\s?{_CREDIT_NAME}){{1,4}}"
    r"|red(?:aksi)?|adv(?:ertorial)?|ant(?:ara)?|hms|humas|rls|[a-z]{2,4}\d{0,2})[)\]]\.?\s*\Z",
    re.IGNORECASE,
)
_WORD_CHARACTER = re.compile(r"[^\W_]")
_SENTENCE_END = re.compile(r"[.!?…][\"”’')\]]*\Z|[.!?,][\"”’]\Z|[\"”]\s\w+\Z")


def read_article(raw: bytes | str) -> Article:
    """The article in a news page given as bytes, plain text or HTML.

    Bytes are read as UTF-8 (or UTF-16 with a byte order mark), else as Windows-1252. A text without any furniture comes
    back whole. Raises `NotText` for anything binary.
    """
    text = _decode(raw) if isinstance(raw, bytes) else _checked(raw)
    hints = _Hints()
    if _looks_like_html(text):
        text, hints = _from_html(text)
    return _assemble([line for line in clean_text(text).split("\n") if line], hints)


@dataclass(frozen=True, slots=True)
class _Hints:
    """What the markup of an HTML page says outright."""

    title: str = ""
    published: date | None = None


def _decode(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in raw or raw.startswith(b"%PDF-"):
        raise NotText("Kiriman ini bukan teks (berkas biner). Kirim isi artikelnya sebagai teks biasa atau HTML.")
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return _checked(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise NotText("Kiriman ini bukan teks dalam UTF-8 atau Windows-1252. Simpan ulang artikelnya sebagai UTF-8.")


def _checked(text: str) -> str:
    control = sum(1 for character in text if character < " " and character not in "\t\n\r\f\v") if text else 0
    if control > _CONTROL_SHARE * len(text):
        raise NotText(
            "Kiriman ini bukan teks (sebagian besar karakter kendali). Kirim isi artikelnya sebagai teks biasa."
        )
    return text


def _looks_like_html(text: str) -> bool:
    return (
        re.search(r"<(?:!doctype html|html|head|body|article|div|p|h1)\b[^>]{0,400}>", text[:20_000], re.I) is not None
    )


class _Page(HTMLParser):
    """Readable text of a page, block by block, and what its head says of the article.

    Args:
        skipped: elements whose content is not read.
    """

    def __init__(self, skipped: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.article_parts: list[str] = []
        self.headings: list[str] = []
        self.window_title = ""
        self.shared_title = ""
        self.published: date | None = None
        self._skipped = skipped
        self._skipping: list[str] = []
        self._in_article = 0
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self._read_meta(values.get("property") or values.get("name") or values.get("itemprop") or "", values)
        elif tag == "time":
            self.published = self.published or _first_date(values.get("datetime", ""))
        elif tag in self._skipped:
            self._skipping.append(tag)
        elif tag in ("article", "main"):
            self._in_article += 1
        elif tag in ("h1", "title"):
            self._inside = tag
            if tag == "h1":
                self.headings.append("")
        if tag in _BLOCKS:
            self._write("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            while self._skipping.pop() != tag:
                pass
        elif tag in ("article", "main"):
            self._in_article = max(0, self._in_article - 1)
        elif tag == self._inside:
            self._inside = ""
        if tag in _BLOCKS:
            self._write("\n")

    def handle_data(self, data: str) -> None:
        if self._skipping:
            return
        data = re.sub(r"\s+", " ", data)
        if self._inside == "title":
            self.window_title += data
            return
        if self._inside == "h1":
            self.headings[-1] += data
        self._write(data)

    def _read_meta(self, name: str, values: dict[str, str]) -> None:
        if name == "og:title":
            self.shared_title = values.get("content", "")
        elif name in ("article:published_time", "datePublished", "pubdate", "publishdate"):
            self.published = self.published or _first_date(values.get("content", ""))

    def _write(self, piece: str) -> None:
        self.parts.append(piece)
        if self._in_article:
            self.article_parts.append(piece)

    @property
    def story(self) -> str:
        """What stands inside <article> or <main>; all of it where those hold only teasers."""
        inner = "".join(self.article_parts)
        return inner if len(inner) > _STORY_CHARACTERS else "".join(self.parts)

    @property
    def title(self) -> str:
        """The headline in the page, else the one for sharing, else the window's without the outlet's name."""
        window = re.split(r"\s[|–—-]\s", self.window_title)[0]
        for title in (*self.headings, self.shared_title, window):
            if len(title.split()) >= _HEADLINE_WORDS:
                return clean_text(title)
        return ""


_BLOCK_ELEMENTS = "p div br hr li ul ol h1 h2 h3 h4 h5 h6 section article main header table tr td blockquote pre"
_BLOCKS = frozenset(_BLOCK_ELEMENTS.split())
_UNREAD = frozenset(("script", "style", "noscript", "template", "svg"))
_FRAME = frozenset(("nav", "aside", "footer", "button", "iframe", "select", "figure"))
_STORY_CHARACTERS = 400


def _without_open_markup(text: str) -> str:
    """Markup without comments and without what is never closed: on those the parser takes quadratic time."""
    kept: list[str] = []
    end = 0
    while (start := text.find("<!--", end)) >= 0:
        kept.append(text[end:start])
        end = text.find("-->", start + 4) + 3
        if end < 3:
            end = len(text)
    kept.append(text[end:])
    text = "".join(kept)
    closed = text.rfind(">") + 1
    return text[:closed] + text[closed:].partition("<")[0]


def _from_html(text: str) -> tuple[str, _Hints]:
    text = _without_open_markup(text)
    page = _parsed(text, _UNREAD | _FRAME)
    if len(page.story) < _STORY_CHARACTERS:
        # an element of the frame that is never closed would swallow the story
        page = _parsed(text, _UNREAD)
    return page.story, _Hints(title=page.title, published=page.published)


def _parsed(text: str, skipped: frozenset[str]) -> _Page:
    page = _Page(skipped)
    page.feed(text)
    page.close()
    return page


def _assemble(lines: list[str], hints: _Hints) -> Article:
    whole = "\n\n".join(lines)
    stamp = next((day for line in lines[:15] if (day := _stamp_date(line))), None)
    lines = _without_furniture(lines)
    first = next((index for index, line in enumerate(lines) if _is_paragraph(line)), len(lines))
    title = hints.title or _headline(lines, first)
    preamble = [line for line in lines[:first] if line != title and _is_sentence(line)]
    story = [line for line in lines[first:] if line != title]
    while story and len(story[-1]) < _PARAGRAPH_CHARACTERS and not _is_sentence(story[-1]):
        story.pop()
    paragraphs = [*preamble, *story] or [line for line in lines if line != title]
    if not paragraphs and not (title and title != whole):
        return Article("", whole, hints.published or stamp, "")
    paragraphs = [_READ_ALSO_INLINE.sub("", paragraph).strip() for paragraph in paragraphs]
    if paragraphs:
        paragraphs[-1] = _without_credit(paragraphs[-1])
    published = hints.published or stamp or _day_of_story(paragraphs)
    dateline = ""
    for index, paragraph in enumerate(paragraphs[:_DATELINE_PARAGRAPHS]):
        dateline, paragraphs[index] = _split_dateline(paragraph)
        if paragraphs[index] != paragraph:
            break
    return Article(title, "\n\n".join(paragraph for paragraph in paragraphs if paragraph), published, dateline)


def _without_furniture(lines: list[str]) -> list[str]:
    kept: list[str] = []
    seen_story = False
    links_to_skip = 0
    in_related = False
    for line in lines:
        if len(line) <= _FURNITURE_CHARACTERS:
            core = _without_signs(line)
            if also := _READ_ALSO.fullmatch(core):
                links_to_skip = 0 if also["link"].strip() else _RELATED_LINKS
                continue
            if _RELATED.fullmatch(core):
                in_related = True
                continue
            closing = _CLOSING.fullmatch(core) or line.lower().startswith(("©", "(c)"))
            if closing and seen_story:
                break
            if closing or not core or _FURNITURE.fullmatch(core) or _stamp_date(line) or _CREDIT.fullmatch(line):
                continue
        if links_to_skip and _is_link(line):
            links_to_skip -= 1
            continue
        links_to_skip = 0
        if in_related and (_is_link(line) or len(line) < _PARAGRAPH_CHARACTERS // 2):
            continue
        in_related = False
        seen_story = seen_story or _is_paragraph(line)
        kept.append(line)
    return kept


def _without_signs(line: str) -> str:
    """From the first to the last letter or digit; empty for a line of signs."""
    first = _WORD_CHARACTER.search(line)
    if first is None:
        return ""
    end = len(line)
    while not line[end - 1].isalnum():
        end -= 1
    return line[first.start() : end]


def _is_link(line: str) -> bool:
    return len(line) <= _LINK_CHARACTERS and not line.endswith((".", "”", '"', ")"))


def _is_sentence(line: str) -> bool:
    tail = line[-_TAIL_CHARACTERS:]
    return _SENTENCE_END.search(tail) is not None or _CREDIT.search(tail) is not None or len(line) > _LINK_CHARACTERS


def _is_paragraph(line: str) -> bool:
    """A paragraph of the story rather than a headline, a menu entry or a link."""
    if len(line) > _PARAGRAPH_CHARACTERS // 2 and _split_dateline(line)[0]:
        return True
    return len(line) >= _PARAGRAPH_CHARACTERS and _is_sentence(line)


def _without_credit(paragraph: str) -> str:
    return paragraph[:-_TAIL_CHARACTERS] + _CREDIT.sub("", paragraph[-_TAIL_CHARACTERS:]).rstrip()


def _headline(lines: list[str], first: int) -> str:
    """The repeated line before the story, else the longest that is no sentence; empty when there is none.

    Where nothing is long enough to be the story, the first line is taken.
    """
    candidates = [
        line
        for line in lines[:first]
        if len(line.split()) >= _HEADLINE_WORDS and not line.endswith((".", ",", ";")) and len(line) <= 250
    ]
    if first == len(lines):
        return candidates[0] if candidates else ""
    times = Counter(lines)
    repeated = next((line for line in candidates if times[line] > 1), "")
    return repeated or max(candidates, key=len, default="")


def _split_dateline(paragraph: str) -> tuple[str, str]:
    """Place and rest of a first paragraph; the place is empty when the paragraph has no dateline."""
    opening = paragraph[:_DATELINE_CHARACTERS]
    found = _DATED_PLACE.match(opening) or _DATELINE.match(opening)
    if found is None or (found["place"] or "").split(" ")[0].lower() in _NO_PLACE:
        return "", paragraph
    place = found["place"] or ""
    if _OUTLET_NAME.match(place):
        parts = (part.strip(" ()-–—―|,") for part in re.split(r"[,(|/]|\s[-–—]\s", found[0]))
        place = next((part for part in parts if part and not _OUTLET_NAME.match(part)), "")
    return place, paragraph[found.end() :]


def _day_of_story(paragraphs: list[str]) -> date | None:
    """The day the story gives as its own: weekday with date in brackets, the dateline, weekday with date, any date."""
    story = "\n".join(paragraphs)
    opening = "\n".join(paragraphs[:2])
    for pattern, text in ((_NEWS_DAY, story), (_DATED_PLACE, opening), (_NAMED_DAY, story), (_ANY_DATE, opening)):
        for found in pattern.finditer(text):
            day = _to_date(found)
            other = _OTHER_DAY_BEFORE.search(text[max(0, found.start() - 80) : found.start()])
            if day and not other and not _OTHER_DAY_AFTER.match(text, found.end()):
                return day
    return None


def _stamp_date(line: str) -> date | None:
    found = _STAMP.fullmatch(_without_signs(line)) if len(line) <= 120 else None
    return _to_date(found) if found else None


def _first_date(text: str) -> date | None:
    found = _ANY_DATE.search(text)
    return _to_date(found) if found else None


def _to_date(found: re.Match[str]) -> date | None:
    year, month, day = (
        next(part for part in (found[f"{unit}1"], found[f"{unit}2"], found[f"{unit}3"]) if part) for unit in "ymd"
    )
    try:
        return date(
            int(year) + (2000 if len(year) == 2 else 0),
            _MONTHS[month.lower()] if month.isalpha() else int(month),
            int(day),
        )
    except ValueError:
        return None
