"""Words around a name that tell of what level the region is and what part it plays in the text."""

from enum import Enum, IntEnum


class Level(Enum):
    """What kind of region a cue announces."""

    PROVINCE = "province"
    REGENCY = "regency"
    CITY = "city"
    DISTRICT = "district"
    VILLAGE = "village"


class Role(IntEnum):
    """What part a region plays in a text, weakest first; the value is its weight times ten."""

    VENUE = 10
    """Where a meeting was held: says nothing of the subject."""
    NEWSROOM = 14
    """A dateline from a provincial capital."""
    MENTION = 20
    """A name without any cue."""
    ORIGIN = 21
    """Where somebody comes from or goes to."""
    PLACE = 26
    """`di X`."""
    DATELINE = 31
    """Where the news comes from."""
    ADDRESS = 32
    """A name with its level, such as `Kab. X`."""
    SUBJECT = 40
    """Whose office, officer or people the text is about: `Bawaslu X`, `warga X`, `kades di X`."""
    HINT = 100
    """Named by the sender outside the text."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PROVINCE_OFFICES = _words(
    "gubernur wagub cagub cawagub bacagub pilgub pemprov polda kapolda kejati kajati sekdaprov pangdam"
)
_REGENCY_OFFICES = _words("bupati wabup cabup cawabup bacabup pilbup pilkab pemkab sekkab setdakab diskab")
_CITY_OFFICES = _words(
    "walikota wawali wawalkot cawali cawalkot pilwali pilwalkot pilwako pilkot pemkot pemko sekkot polrestabes"
)
_DISTRICT_OFFICES = _words(
    "camat sekcam panwascam panwaslucam panwaslukec panwaskecam ppk polsek kapolsek polsekta koramil danramil kua "
    "puskesmas kapus korwilcam panewu forkopimcam muspika"
)
_VILLAGE_OFFICES = _words(
    "kades sekdes lurah pkd pps pambakal pembakal keuchik geuchik kuwu klebun perbekel sangadi peratin petinggi "
    "hukumtua pemdes bumdes kadus babinsa bhabinkamtibmas bpd linmas"
)
LEVEL_WORDS = _words(
    "provinsi propinsi prov prop kabupaten kab kota kecamatan kec distrik kapanewon kemantren desa ds kelurahan kel "
    "nagari gampong gampoeng pekon kampung kp kalurahan dsn ohoi"
)
"""Words that say nothing but of what level the name behind them is."""

AUTHORITIES = _words(
    "bawaslu kpu kpud kip panwaslu panwaslih gakkumdu polres kapolres polresta kapolresta kodim dandim dprd sekda "
    "pemda setda pilkada pemilukada"
)
"""Offices whose name is followed by a region's and by little else."""

_OFFICES = AUTHORITIES | _words(
    "panwas dinas disdik disdikbud dinkes dinsos dishub dpmd bpbd bkd bkpsdm bkpp kesbangpol diskominfo satpol "
    "inspektorat kejari kajari pn pengadilan rsud pdam pns asn pppk p3k honorer guru warga masyarakat rakyat "
    "pemilih pilkada pemilu pemilukada pilkades paslon petahana incumbent kepala wali ketua anggota komisioner "
    "relawan timses kader pemuda mahasiswa ormas tokoh caleg calon bacalon pj plt pjs wakil forkopimda kemenag "
    "bkn koordinator tps kpps disdukcapil baznas knpi pkk gp ansor muhammadiyah nu mui"
)

LEVELS: dict[str, Level] = {
    **dict.fromkeys([*_PROVINCE_OFFICES, "provinsi", "propinsi", "prov", "prop", "provinsinya"], Level.PROVINCE),
    **dict.fromkeys([*_REGENCY_OFFICES, "kabupaten", "kab"], Level.REGENCY),
    **dict.fromkeys([*_CITY_OFFICES, "kota", "kodya", "kotamadya", "kotamadia"], Level.CITY),
    **dict.fromkeys([*_DISTRICT_OFFICES, "kecamatan", "kec", "distrik", "kapanewon", "kemantren"], Level.DISTRICT),
    **dict.fromkeys(
        [
            *_VILLAGE_OFFICES, "desa", "ds", "kelurahan", "kel", "nagari", "gampong", "pekon", "kampung", "kp",
            "kalurahan", "dsn", "ohoi", "gampoeng",
        ],
        Level.VILLAGE,
    ),
}  # fmt: skip

OFFICES = _OFFICES | _PROVINCE_OFFICES | _REGENCY_OFFICES | _CITY_OFFICES | _DISTRICT_OFFICES | _VILLAGE_OFFICES

PLACES = _words(
    "di d neng nang ning ing nde ndek dek dik pas se sekitar seputar kawasan area sa lingkungan daerah wilayah wil"
)
ORIGINS = _words("dari dr dri ke ka ti asal menuju")

FILLERS = _words("e ne nya administrasi adm wilayah daerah dapil sekabupaten pada urang wong")
"""Words that may stand between a cue and the name it announces."""

VENUES = _words(
    "hotel kafe cafe resto restoran restaurant ballroom gedung aula kampus universitas univ institut politeknik "
    "stadion bandara resort villa convention auditorium fakultas wisma asrama suite inn iain uin stie stikes "
    "unlam ulm pendopo mal mall plaza"
)
"""A name close behind one of these tells where people met."""

NOT_A_PLACE_AFTER = _words(
    "jalan jl jln gang gg nasi sate soto kopi mie mi bakso batik bahasa suku logat pak pa bu bapak ibu haji hj h "
    "mas mbak ustadz ustad kh kyai kiai gus drs dr ir prof sdr saudara saudari bang teh om tante liang danau "
    "tribun radar harian koran warung rm bank persib pt cv ud yayasan kerajaan kesultanan mak cak ning bung "
    "dokter"
)
"""A bare name right behind one of these is a street, a dish, a person, a company or a newspaper."""

HEALTH_CENTRES = _words("puskesmas kapus")
"""Each district has one, but people name it by their regency as well."""

TITLES = frozenset({("kepala", "lembang"), ("kepala", "pekon"), ("kepala", "kampung"), ("wali", "nagari")})
"""Village heads whose title ends in a word that is a name elsewhere."""

NEWSPAPERS = _words("post pos ekspres express tv fm times today network")
"""A name right before one of these, capitalised, is a newspaper or a broadcaster."""

FIGURES = _words("perang laga juang magnet tempur pertempuran perjuangan rumput golf")
"""Before one of these "medan" and "padang" are a field."""

AND = _words("dan serta maupun & / hingga")

TEASERS = frozenset(
    {
        ("baca", "juga"), ("baca", "selengkapnya"), ("baca", "lainnya"), ("baca", ":"), ("simak", "juga"),
        ("lihat", "juga"), ("berita", "terkait"), ("artikel", "terkait"), ("berita", "lainnya"), ("berita", "terbaru"),
        ("berita", "populer"), ("tonton", "juga"), ("media", "online"), ("alamat", "redaksi"), ("kantor", "redaksi"),
        ("hak", "cipta"), ("all", "rights"),
    }
)  # fmt: skip
"""Beginnings of lines that belong to a news page and not to its news."""

ENDS_A_NAME = _words(
    "yang yg ada sudah udah udh telah tadi kemarin kemaren td barusan sekarang skrg skarang hari malam pagi siang "
    "sore subuh dan dgn dengan untuk utk buat pada saat ketika karena krn diduga disebut ikut hadir bagi bagi2 "
    "membagi nyebar sebar kampanye nyuruh suruh menyuruh mendukung dukung minta ancam mengancam kab kabupaten kec "
    "kecamatan kota prov provinsi desa kelurahan kel min pak bu mohon tolong tlg rt rw tps dapat dpt dikasih "
    "kasih ngasih terima jgn jangan tidak tdk ga gak nggak kada belum blm akan mau msh masih juga jg lagi lg itu "
    "ini dari ke di tgl tanggal jam pukul ya nih lho loh kok sih bang mas mbak kak rame ramai banyak bnyk soal "
    "ttg tentang oleh dalam jadi jd arahkan mengarahkan kumpulkan mengumpulkan umpat bagikan membagikan oknum"
)
"""What may follow a place name in a text without capitals: it tells "di batang ada ..." from the trunk of a tree."""

HASHTAG_PREFIXES = (
    "pilkada", "pilgub", "pilbup", "pilwalkot", "pilwali", "pilwako", "bawaslu", "panwaslu", "pemkab", "pemkot",
    "pemprov", "polres", "warga", "kabupaten", "kota", "provinsi", "kab", "prov", "kpu", "dprd", "info", "save", "asn",
    "bupati", "walikota", "gubernur", "kabar", "pemilu",
)  # fmt: skip
