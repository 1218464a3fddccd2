"""The classifier one would write in an hour: a list of suspicious words, joined into one regular expression.

It says which words stand in a text, and knows neither sentence nor negation, neither law nor place.
"""

import re

KEYWORDS = tuple(
    """
amplop|bagi-bagi uang|bagi uang|bagi duit|uang tunai|serangan fajar|politik uang|money politic|sembako|beras
minyak goreng|gula pasir|mi instan|sarung|mukena|jilbab|kerudung|kaos paslon|voucher|pulsa|token listrik|door prize
doorprize|hadiah undian|umrah gratis|wisata gratis|50 ribu|100 ribu|150 ribu|200 ribu|50rb|100rb|150rb|200rb|300rb
500rb|rp 50.000|rp 100.000|rp 200.000|transfer dana|uang transport|uang lelah|uang saku|uang pulsa|uang rokok
uang bensin|uang makan|uang kopi|mahar politik|beli suara|jual suara|tukar suara|asal pilih|asal coblos
syaratnya coblos|imbalan suara|janji uang|janji jabatan|janji proyek|iming-iming|dijanjikan|dijanjiin|bantuan sosial
bansos|bantuan pangan|bantuan tunai|blt|pkh|dana desa|dana hibah|uang desa|program pemerintah|kartu tani
pupuk gratis|bibit gratis|asn|pns|pppk|pegawai negeri|aparatur sipil|camat|sekretaris camat|lurah|kepala desa|kades
pambakal|keuchik|wali nagari|perangkat desa|sekdes|bpd|ketua rt|ketua rw|kepala dinas|kadis|sekda|kepala sekolah
kepsek|guru pns|dosen negeri|bidan desa|tenaga kesehatan|polisi|anggota polri|tni|anggota tni|babinsa
bhabinkamtibmas|hakim|jaksa|bumn|bumd|direksi bumd|staf ahli|honorer|pejabat daerah|penjabat bupati|pj bupati
pj wali kota|bupati aktif|gubernur aktif|mobil dinas|kendaraan dinas|rumah dinas|fasilitas negara|kantor desa
balai desa|pendopo|jam kerja|seragam dinas|baju dinas|surat tugas|mutasi jabatan|rotasi jabatan|nonjob|dimutasi
dipecat|diancam|ancaman|intimidasi|tekanan|dipaksa|disuruh pilih|disuruh coblos|diarahkan|mengarahkan|arahan pilih
ajak pilih|mengajak memilih|ayo pilih|wajib pilih|harus pilih|jangan pilih|dukung paslon|mendukung paslon
dukungan calon|deklarasi dukungan|kampanye hitam|kampanye terselubung|kampanye di masjid|kampanye di sekolah
tempat ibadah|masjid|gereja|pura|wihara|pesantren|sekolah|kampus|foto bersama calon|pose jari|salam dua jari
salam satu jari|like postingan|membagikan postingan|grup wa|status wa|siaran langsung|tim sukses|timses
tim pemenangan|relawan|saksi bayaran|posko pemenangan|baliho|spanduk|stiker|poster|alat peraga|apk liar|masa tenang
hari tenang|c pemberitahuan|surat suara|surat suara rusak|coblos ganda|coblos dua kali|pemilih fiktif|pemilih ganda
nama orang mati|dpt ganda|kotak suara|segel rusak|tps dipindah|kpps|ppk|pps|penggelembungan suara|pengurangan suara
rekap diubah|formulir c1|c hasil|hitung ulang|hoaks|fitnah|ujaran kebencian|isu sara|kafir|pribumi|penistaan
anak di bawah umur|pelajar dilibatkan
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

_ANY = re.compile("|".join(re.escape(keyword) for keyword in KEYWORDS))


def find_keywords(text: str) -> list[str]:
    """The suspicious words of a text, in its order."""
    return _ANY.findall(text.lower())
