/**
 * Mengirim setiap jawaban Google Formulir ke Salingjaga.
 *
 * 1. Buka formulir, menu titik tiga > Apps Script. Hapus isi editor, tempel berkas ini, simpan.
 * 2. Setelan proyek (roda gigi) > Properti skrip > Tambahkan: SALINGJAGA_URL, misalnya
 *    https://lapor.contoh.id/v1/reports/formulir, dan SALINGJAGA_SECRET, sama dengan di server.
 * 3. Di editor pilih fungsi pasang, tekan Jalankan, lalu izinkan.
 * 4. Isi formulir sekali sebagai percobaan.
 * 5. Menu Eksekusi harus menunjukkan kirim berstatus Selesai. Bila Gagal, bacalah pesannya: alamat atau rahasia keliru.
 *
 * Yang belum terkirim (server sibuk atau mati) disimpan dan dicoba lagi setiap sepuluh menit.
 */

function pasang() {
  ScriptApp.getProjectTriggers().forEach(function (trigger) { ScriptApp.deleteTrigger(trigger); });
  ScriptApp.newTrigger('kirim').forForm(FormApp.getActiveForm()).onFormSubmit().create();
  ScriptApp.newTrigger('kirimUlang').timeBased().everyMinutes(10).create();
}

function kirim(e) {
  var id = e.response.getId();
  try {
    pos(e.response);
  } catch (error) {
    PropertiesService.getScriptProperties().setProperty('tertunda_' + id, new Date().toISOString());
    throw error;
  }
}

function kirimUlang() {
  var properties = PropertiesService.getScriptProperties();
  properties.getKeys().forEach(function (key) {
    if (key.indexOf('tertunda_') !== 0) return;
    var response;
    try {
      response = FormApp.getActiveForm().getResponse(key.substring('tertunda_'.length));
    } catch (error) { // jawabannya sudah dihapus dari formulir
      properties.deleteProperty(key);
      return;
    }
    try {
      pos(response);
      properties.deleteProperty(key);
    } catch (error) {
      console.error(error);
    }
  });
}

function pos(response) {
  var values = {};
  response.getItemResponses().forEach(function (item) {
    var answer = item.getResponse();
    values[item.getItem().getTitle()] = [].concat(answer).map(String);
  });
  var body = JSON.stringify({
    source: 'gform',
    form_id: FormApp.getActiveForm().getId(),
    response_id: response.getId(),
    submitted_at: response.getTimestamp().toISOString(),
    named_values: values
  });
  var properties = PropertiesService.getScriptProperties();
  var digest = Utilities.computeHmacSha256Signature(
    body, properties.getProperty('SALINGJAGA_SECRET'), Utilities.Charset.UTF_8);
  var hex = digest.map(function (byte) { return ('0' + (byte & 255).toString(16)).slice(-2); }).join('');
  var answer = UrlFetchApp.fetch(properties.getProperty('SALINGJAGA_URL'), {
    method: 'post',
    contentType: 'application/json; charset=utf-8',
    headers: { 'X-Hub-Signature-256': 'sha256=' + hex },
    payload: body,
    muteHttpExceptions: true
  });
  if (answer.getResponseCode() >= 300) {
    throw new Error('Salingjaga menjawab ' + answer.getResponseCode() + ': ' + answer.getContentText().slice(0, 300));
  }
}
