"""Sentences as people write them, and the encodings in which old files hold them."""

# ruff: noqa: RUF001

LANGUAGES: dict[str, tuple[tuple[str, ...], tuple[str, str, str]]] = {
    "German": (("latin-1", "cp1252"), ("Der Kündigungstermin für Häuser ist Freitag.", "Die Straße führt über die große Brücke.", "Können Sie mir bitte die Öffnungszeiten schicken?")),
    "French": (("latin-1", "cp1252"), ("L'été dernier, nous avons loué une maison près de la forêt.", "Il a été élu président à l'âge de trente-sept ans.", "Où êtes-vous allés après le déjeuner ?")),
    "Spanish": (("latin-1", "cp1252"), ("¿Dónde está la estación más cercana?", "El niño comió una manzana en el jardín.", "Mañana habrá una reunión sobre la educación pública.")),
    "Portuguese": (("latin-1", "cp1252"), ("A reunião será amanhã às três horas.", "As eleições não são antes de junho.", "Você já comeu pão com manteiga no café?")),
    "Italian": (("latin-1", "cp1252"), ("La città è più bella di sera.", "Perché non c'è più caffè?", "Lunedì andrò all'università.")),
    "Swedish": (("latin-1", "cp1252"), ("Åtta små gäss går över ån.", "Vi måste köpa bröd och ägg före lördag.", "Hon är född i Malmö på åttiotalet.")),
    "Danish": (("latin-1", "cp1252"), ("Blåbærgrød smager bedst om sommeren på øen.", "Hvor går bussen til København fra?", "Jeg har læst bøgerne færdig på én dag.")),
    "Dutch": (("latin-1", "cp1252"), ("De coördinatie met België verloopt goed.", "Eén patiënt heeft drie ideeën.", "Het financiële beleid is geïnspireerd door Europa.")),
    "Icelandic": (("latin-1", "cp1252"), ("Það er gott veður á Íslandi í dag.", "Ég þarf að kaupa mjólk og brauð.", "Hún býr í litlu húsi við sjóinn.")),
    "English": (("cp1252",), ("“It’s a naïve idea,” she said – and left…", "The café’s price was £5, not €5.", "He wrote a résumé; nobody read it.")),
    "Polish": (("cp1250", "iso8859_2"), ("Zażółć gęślą jaźń.", "Dzień dobry, chciałbym kupić książkę.", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności.")),
    "Czech": (("cp1250", "iso8859_2"), ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "Smlouvu můžete vypovědět do konce měsíce.", "Všichni lidé rodí se svobodní a sobě rovní.")),
    "Slovak": (("cp1250", "iso8859_2"), ("Ďakujem, všetko je v poriadku a môžeme ísť.", "Kôň stojí pri ľavom brehu rieky.", "Všetci ľudia sa rodia slobodní a sebe rovní.")),
    "Hungarian": (("cp1250", "iso8859_2"), ("Az idő gyönyörű, és a szőlő érik.", "Árvíztűrő tükörfúrógép.", "Minden emberi lény szabadon születik és egyenlő méltósága van.")),
    "Croatian": (("cp1250", "iso8859_2"), ("Čekamo da đak završi vježbu i dođe kući.", "Sljedeći tjedan počinje škola.", "Može li se račun platiti i đačkom karticom?")),
    "Romanian": (("cp1250",), ("Şedinţa va avea loc mâine în oraş.", "Vreau să ştiu când începe şcoala.", "Toate fiinţele umane se nasc libere şi egale în demnitate.")),
    "Turkish": (("cp1254",), ("Sözleşme, ay sonunda feshedilebilir mi, bilmiyorum; ağabeyim sormalı.", "Işıklar açık kaldı, kapıyı kapatır mısın?", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.")),
    "Lithuanian": (("cp1257",), ("Ąžuolas auga šalia mažo ežero.", "Visi žmonės gimsta laisvi ir lygūs savo orumu.", "Ačiū, viskas yra gerai, mes jau grįžome į namus.")),
    "Latvian": (("cp1257",), ("Rīt no rīta mēs, šķiet, brauksim uz jūru.", "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā.", "Lūdzu, atnesiet man glāzi ūdens un ķiršus.")),
    "Russian": (("cp1251", "koi8_r"), ("Корабли вернулись в гавань сегодня утром.", "Договор можно расторгнуть до конца месяца.", "Все люди рождаются свободными и равными в своём достоинстве и правах.")),
    "Ukrainian": (("cp1251",), ("Кораблі повернулися до гавані сьогодні вранці.", "Усі люди народжуються вільними і рівними у своїй гідності та правах.", "Договір можна розірвати до кінця місяця.")),
    "Bulgarian": (("cp1251",), ("Корабите се върнаха в пристанището тази сутрин.", "Всички хора се раждат свободни и равни по достойнство и права.", "Договорът може да бъде прекратен до края на месеца.")),
    "Greek": (("cp1253", "iso8859_7"), ("Τα πλοία επέστρεψαν στο λιμάνι σήμερα το πρωί.", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.", "Η σύμβαση λήγει στο τέλος του μήνα.")),
    "Hebrew": (("cp1255",), ("הספינות חזרו לנמל הבוקר.", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.", "החוזה מסתיים בסוף החודש.")),
    "Arabic": (("cp1256",), ("عادت السفن إلى الميناء اليوم", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.", "ينتهي العقد في نهاية الشهر.")),
    "Thai": (("cp874",), ("เรือกลับมาถึงท่าเรือเมื่อเช้านี้", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ", "สัญญาสิ้นสุดในปลายเดือน")),
    "Chinese": (("gb18030", "big5"), ("我們的船已經回來了，他們說這個地方很好。", "人人生而自由，在尊嚴和權利上一律平等。", "合同在這個月的最後一天到期，你們要不要？")),
    "Simplified Chinese": (("gb18030",), ("我们的船已经回来了，他们说这个地方很好。", "人人生而自由，在尊严和权利上一律平等。", "合同在这个月的最后一天到期，你们要不要？")),
    "Japanese": (("shift_jis", "euc_jp"), ("船は今朝、港に帰ってきました。とても嬉しいです。", "すべての人間は、生まれながらにして自由であり、平等である。", "契約は月末に終わります。")),
    "Korean": (("euc_kr",), ("배가 오늘 아침에 항구로 돌아왔습니다. 우리는 매우 기쁩니다.", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.", "계약은 이달 말에 끝납니다.")),
}  # fmt: skip


def cases() -> list[tuple[str, str, str]]:
    """Return the language, the encoding and the text: of one sentence, of two dozen."""
    found = []
    for language, (encodings, sentences) in LANGUAGES.items():
        long = " ".join(sentences[number % 3] for number in range(24))
        for encoding in encodings:
            texts = (*sentences, long, "\n".join(reversed(sentences)), sentences[0] * 20)
            found += [(language, encoding, text) for text in texts]
    return found
