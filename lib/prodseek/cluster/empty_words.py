"""Words of catalogues that say nothing of what a photo shows, in European languages."""

from __future__ import annotations

import re
from functools import cache

# Values beside ABSENT that stand where a category is missing, without accents, blanks and signs.
NO_CATEGORY = """
unknown unbekannt inconnu desconocido sconosciuto onbekend tbd tba todo undefined notset notavailable notapplicable
keineangabe ka empty leer test dummy sample other others misc miscellaneous various diverse divers diverses sonstige
sonstiges andere anderes verschiedenes autre autres otro otros otra otras varios varias altro altri altre varie vario
outro outros ubrige ubriges neu neuheiten new nouveau nouveautes novedades novita nieuw overig overige diversen ovrigt
ovrige øvrigt øvrige andet default defaultcategory uncategorized uncategorised unkategorisiert nichtkategorisiert
noncategorise noncategorizzato sincategoria senzacategoria unassigned unsorted general allgemein category categories
kategorie categorie categoria root rootcatalog rootcatalogue rootcategory all allproducts alleprodukte touslesproduits
todoslosproductos tuttiiprodotti products produkte produits productos prodotti producten
newin newproducts newcollection justin featured featuredproducts trending bestselling popular topsellers outlet lastchance
specials specialoffers offers deals blackfriday angebote aktion aktionen neueingetroffen restposten schnappchen empfehlungen
promotions promos ventesflash bonnesaffaires meilleuresventes coupsdecoeur destockage ofertas destacados liquidacion
inarbeit inbearbeitung inprogress encours inlavorazione dafare porhacer tedoen
novidades promocoes offerte inofferta promozioni novitainarrivo aanbiedingen nieuwbinnen
ultimiarrivi nuoviarrivi fineserie saldiestivi saldiinvernali koopjes overigeartikelen homepage lookbook summersale wintersale
uitverkoopzomer uitverkoopwinter soldesdete soldesdhiver sommerschlussverkauf winterschlussverkauf rebajasdeverano
"""
# What a shop says to sell, whatever it sells.
SELLING = re.compile(
    r"\b(?:free (?:shipping|delivery|returns)|(?:best|top|low|lowest|special) (?:price|offer|deal)s?|on sale|gratis[ -]?versand|"
    r"livraison (?:gratuite|offerte)|env[ií]o gratis|spedizione gratuita|best[ -]?sellers?|top[ -]?sellers?|new arrivals?|"
    r"sale|clearance|discount(?:ed)?|versandkostenfrei\w*|kostenloser versand|bestpreis|sonderangebot|angebot|rabatt|"
    r"aktionspreis|ausverkauf|soldes?|promo(?:tion)?|oferta|offerta|sconto|saldi|rebajas|uitverkoop)\b",
    re.IGNORECASE,
)
# Names that begin with `New`, which otherwise only sells.
NEW_NAMES = "balance era look york zealand"
# Words that a title needs for its grammar, in the languages that catalogues of Europe are mostly written in.
GRAMMAR = """
a an and are as at by for from in into is it its new no not of off on only or our per set size the this to up us we with
without you your pack piece pieces pcs used
am auf aus bei bis das dem den der des die ein eine einem einen einer fur für im in ist mit nicht neu oder ohne und vom von
zu zum zur stück gebraucht
a à au aux avec ce ces dans de des du en et la le les ou par pour sans sur un une
al con de del e el en es la las lo los no o para por sin su un una y
alla che da dei del della di e il in la lo nel nella per senza sul sulla
das dos em na no os para por sem um uma
de een en het in met op te van voor zonder
i med och og til uden utan av af den det
"""
# A folder that begins with one of them and has one word more says what became of photos, or is to: `to do`, `ohne Hintergrund`.
STATES = "to zu a à te da ohne without sans sin senza zonder sem utan uden no not non nicht en"
# Words of folders and file names that say where a photo lies, how it was made, or when; not what it shows.
STORAGE = """
adobestock alamy approved archiv archive articulo artikel artikelnr artikelnummer artnr asset assets back backup
batch bearbeitet bestellnr bestellnummer bewerkt bewerkte bildschirmfoto cache catalog catalogo catalogue cdn
content copia copie copy cropped cutout data dataset dcim default depositphotos detail dir done download downloads
dreamstime dropbox dsc dscn edit edited export facebook fertig file files final folder fotos freepik freigegeben
freigestellt freisteller front full getty gettyimages goedgekeurd hires http https id image imagen imagenes images
img imgs import incoming instagram istock istockphoto jpeg jpg klaar kopie left lg library lieferung lieferungen
local low main master md misc mnt new nog old onedrive orig original originals other out packshot packshots pexels
photos pic pics pinterest pixabay png prod product products produit produits produkt produkte public raw resized
retouched retouchiert right ritoccate ritoccati root s3 scan scans screenshot screenshots shopify shutterstock site
sito size sku skus sm source src static stocksy telegram temp test thumb thumbnail thumbnails thumbs tiff tmp todo
unbenannt unnamed unsorted unsplash untitled upload uploads user users val var version view web webp webshop
whatsapp www xl xs zoom
jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october
november december januar februar märz mai juni juli oktober dezember
"""
# Words that say so of a file, and of a folder only where nearly all photos lie in it: it may be a department, `Home`, `Storage`.
ALSO_GOODS = """
article articles bild bilder color colour crop feed foto galerie gallery gross groß home item items klein large media
medium photo picture pictures shop shot shots side small stock storage store train
"""
# Those of all of these that belong to the word that they stand before, as in `side tables` and `Final Fantasy`.
ADJECTIVES = """
color colour content crop final front full gallery home klein large master medium new old original other photo picture raw
right root shop side small stock storage store test zoom
"""
# A folder with such a word is named after who sent its photos.
SENDERS = """
agency brand brands client cliente clientes clienti customer fornitore fornitori fotograaf fotografo klant klanten leverancier
leveranciers fournisseur hersteller kunde kunden lieferant lieferanten manufacturer marke merchant partner photographe
photographer proveedor seller studio supplier suppliers vendor vendors
"""

# What ends a firm's name in a folder: these in any case, others as written, because `spa` and `as` are words as well.
FIRMS = "aps corp corporation eurl figli fils gmbh hijos inc kft limited llc ltd mbh oyj plc sarl söhne soehne sons srl zonen"
FIRMS_AS_WRITTEN = "AB AG AS BV KG NV OY Oy SA SE SpA UG"
# What a folder counts when a number follows: `Art. 4711`, `Look 12`. Alone they may be goods, as art is.
COUNTED = """
ansicht art article artikel batch camera charge collection delivery kamera kollektion lieferung livraison look lot model modele
modell modèle nummer photo ref reference referenz réf référence seite series serie série shooting vista vue
"""

# What a product stands on, in a folder that says its colour: `White background`.
GROUNDS = "background hintergrund fond fondo sfondo achtergrond bakgrund baggrund"


@cache
def set_of(words: str) -> frozenset[str]:
    """The words of one of the lists above."""
    return frozenset(words.split())
